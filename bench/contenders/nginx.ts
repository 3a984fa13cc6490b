import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { freePort, type Place } from '../place.js'
import { adopt, untilListening } from '../processes.js'
import { type Contender, dummyAuthorization, pidOf } from './contender.js'

/** nginx as a TLS reverse proxy: one worker, connections kept on both sides, no log. */
export const nginx: Contender = {
  name: 'nginx',
  node: false,
  missing: () => (spawnSync('nginx', ['-v']).error ? ['nginx (apt-get install nginx-light)'] : []),
  async start(place) {
    const port = await freePort()
    const folder = join(place.folder, `nginx-${port}`)
    mkdirSync(folder)
    const file = join(folder, 'nginx.conf')
    writeFileSync(file, configuration(place, folder, port))
    // SIGTERM: with SIGKILL its master could not end the worker
    const child = adopt(spawn('nginx', ['-p', folder, '-c', file, '-e', 'stderr'], { stdio: ['ignore', 'ignore', 'inherit'] }), 'SIGTERM')
    await untilListening(child, port)
    const origin = `https://127.0.0.1:${port}`
    return { name: 'nginx', child, pid: pidOf(child), origin, http2Origin: origin, authorization: dummyAuthorization, cert: place.cert }
  },
}

function configuration(place: Place, folder: string, port: number): string {
  const { uid, username } = userInfo()
  return `
${uid === 0 ? `user ${username};` : ''}
daemon off;
worker_processes 1;
worker_rlimit_nofile 16384;
pid ${folder}/nginx.pid;
# it ends after its folder is gone, and would complain of that
error_log stderr emerg;
events { worker_connections 8192; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  scgi_temp_path ${folder}/scgi;
  uwsgi_temp_path ${folder}/uwsgi;
  keepalive_requests 1000000000;
  upstream provider {
    server ${new URL(place.upstream).host};
    keepalive 512;
    keepalive_requests 1000000000;
    keepalive_timeout 60s;
  }
  server {
    listen 127.0.0.1:${port} ssl http2 backlog=4096;
    ssl_certificate ${place.certFile};
    ssl_certificate_key ${place.keyFile};
    ssl_protocols TLSv1.3;
    location / {
      proxy_pass http://provider;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }
  }
}
`
}
