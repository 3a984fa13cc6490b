#!/usr/bin/env python3
"""The service `certbot` of docker-compose.yml: issues the certificate, renews it when it is due, and hands every one it keeps to soakp.

It runs in Certbot's own image. What it is told is in docs/docker.md.
"""

import os
import random
import shlex
import signal
import subprocess
import sys
import time

HOOK = os.path.join(os.path.dirname(os.path.abspath(__file__)), "certbot-deploy.py")
CERTS = os.environ.get("CERTS", "/certs")
CONFIG = os.environ.get("CERTBOT_CONFIG_DIR", "/etc/letsencrypt")
CREDENTIALS = os.environ.get("CERTBOT_CREDENTIALS_FILE", "/run/certbot.ini")
EVERY_S = 12 * 3600
AFTER_FAILURE_S = 3600

child = None


def say(line):
    print(f"certbot: {line}", flush=True)


def stop(*_):
    if child is not None and child.poll() is None:
        child.terminate()
        child.wait()
    sys.exit(0)


def run(*argv):
    global child
    child = subprocess.Popen(argv)
    return child.wait() == 0


def setting(name, fallback=""):
    return os.environ.get(name, "").strip() or fallback


def certonly(domains):
    """Does nothing while the certificate is there, covers the names and is not due."""
    plugin = setting("CERTBOT_DNS", "cloudflare")
    argv = ["certbot", "certonly", "--non-interactive", "--keep-until-expiring", "--expand", "--cert-name", setting("CERTBOT_NAME", domains[0].removeprefix("*."))]
    argv += ["--agree-tos", *(["--email", setting("CERTBOT_EMAIL")] if setting("CERTBOT_EMAIL") else ["--register-unsafely-without-email"])]
    argv += ["--deploy-hook", f"{shlex.quote(HOOK)} {shlex.quote(CERTS)}", f"--dns-{plugin}"]
    if os.path.isfile(CREDENTIALS):
        argv += [f"--dns-{plugin}-credentials", CREDENTIALS]
    if setting("CERTBOT_PROPAGATION_SECONDS"):
        argv += [f"--dns-{plugin}-propagation-seconds", setting("CERTBOT_PROPAGATION_SECONDS")]
    if setting("CERTBOT_SERVER"):
        argv += ["--server", setting("CERTBOT_SERVER")]
    for domain in domains:
        argv += ["-d", domain]
    return argv + shlex.split(setting("CERTBOT_ARGS"))


def once(domains):
    issued = run(*certonly(domains))
    renewed = run("certbot", "renew", "--quiet", "--no-random-sleep-on-renew")
    # what a hook could not do at its time, for a full disk say, is done now; what is in service already is left alone
    live = os.path.join(CONFIG, "live")
    lineages = [os.path.join(live, name) for name in os.listdir(live) if os.path.isdir(os.path.join(live, name))] if os.path.isdir(live) else []
    handed = [run(sys.executable, HOOK, CERTS, lineage) for lineage in lineages]
    return issued and renewed and all(handed)


def main():
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, stop)
    domains = [name for name in setting("CERTBOT_DOMAINS").replace(",", " ").split() if name]
    if not domains:
        sys.exit("certbot: CERTBOT_DOMAINS is empty; docs/docker.md says what goes into .env")
    if os.path.isdir(CREDENTIALS):
        sys.exit("certbot: the file with the DNS provider's credentials (certbot.ini, or CERTBOT_CREDENTIALS) is not there; docs/docker.md says what goes into it")
    while True:
        good = once(domains)
        if "--once" in sys.argv:
            sys.exit(0 if good else 1)
        wait_s = (EVERY_S if good else AFTER_FAILURE_S) * random.uniform(0.9, 1.1)
        say(f"{'in order' if good else 'FAILED, see above'}; looking again in {wait_s / 3600:.1f} h")
        time.sleep(wait_s)


main()
