#!/usr/bin/env python3
"""Deploy hook of Certbot for soakp: certbot-deploy.py CERTS [LINEAGE]

Copies what Certbot renewed (LINEAGE, else $RENEWED_LINEAGE) into soakp's `certs/`, where the daemon finds it. Certbot runs as root and its files
are root's alone; the copy belongs to whoever owns CERTS. It is read with Certbot's rights and written with the owner's, so nothing that the
owner puts into the folder can lead root astray. The four files are written whole beside those in service, and one rename switches to them.
"""

import os
import re
import shutil
import sys

KEPT = 5
FILES = {"cert.pem": 0o644, "chain.pem": 0o644, "fullchain.pem": 0o644, "privkey.pem": 0o600}
NAME = re.compile(r"(?=.{1,200}$)[a-z0-9_]([a-z0-9._-]*[a-z0-9])?", re.IGNORECASE)


def main(certs, lineage):
    name = os.path.basename(os.path.normpath(lineage))
    if not NAME.fullmatch(name) or name == "localhost":
        sys.exit(f"certbot-deploy: {name!r} cannot name a certificate of soakp's")
    content = {}
    for file in FILES:
        with open(os.path.join(lineage, file), "rb") as source:
            content[file] = source.read()
    become_owner(certs)
    os.umask(0o077)
    live = os.path.join(certs, "live", name)
    if os.path.isdir(live) and not os.path.islink(live):
        sys.exit(f"certbot-deploy: {live} is kept by another program")
    if in_service(live, content):
        return
    install(certs, name, content)
    print(f"certbot-deploy: {name} is in {live}")


def become_owner(folder):
    """From here on what is written is the daemon's, and nothing else can be written."""
    owner = os.stat(folder)
    if os.geteuid() != 0 or owner.st_uid == 0:
        return
    os.setgroups([])
    os.setgid(owner.st_gid)
    os.setuid(owner.st_uid)


def in_service(live, content):
    try:
        for file, wanted in content.items():
            with open(os.path.join(live, file), "rb") as there:
                if there.read() != wanted:
                    return False
        return True
    except OSError:
        return False


def install(certs, name, content):
    archive = os.path.join(certs, "archive", name)
    for folder in (os.path.join(certs, "live"), os.path.join(certs, "archive"), archive):
        os.makedirs(folder, mode=0o700, exist_ok=True)
    version = max(versions(archive), default=0) + 1
    folder = os.path.join(archive, str(version))
    os.mkdir(folder, 0o700)
    try:
        for file, mode in FILES.items():
            write(os.path.join(folder, file), content[file], mode)
        sync(folder)
        live = os.path.join(certs, "live", name)
        # a name that no certificate can have
        following = os.path.join(certs, "live", "." + name + ".next")
        if os.path.islink(following):
            os.unlink(following)
        os.symlink(os.path.join("..", "archive", name, str(version)), following)
        os.rename(following, live)
        sync(os.path.dirname(live))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    for old in sorted(versions(archive))[: -KEPT - 1]:
        shutil.rmtree(os.path.join(archive, str(old)), ignore_errors=True)


def versions(archive):
    return [int(entry) for entry in os.listdir(archive) if entry.isdigit()]


def write(path, content, mode):
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync(folder):
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    arguments = sys.argv[1:] + [os.environ.get("RENEWED_LINEAGE", "")]
    if len(arguments) < 2 or not arguments[1]:
        sys.exit("certbot-deploy: certbot-deploy.py CERTS [LINEAGE], or with Certbot's RENEWED_LINEAGE")
    try:
        main(arguments[0], arguments[1])
    except OSError as error:
        sys.exit(f"certbot-deploy: {error}")
