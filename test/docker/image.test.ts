import { existsSync, readFileSync } from 'node:fs'
import t from 'tap'
import { schema } from '../../src/config/schema.js'

const text = (path: string) => readFileSync(path, 'utf8')
const dockerfile = text('docker/Dockerfile')
const compose = text('docker-compose.yml')
const ignore = text('.dockerignore')
const guide = text('docs/docker.md')
const owner = '1000:1000'

interface Manifest {
  readonly version: string
  readonly engines: { readonly node: string }
}
const manifest = JSON.parse(text('package.json')) as Manifest

/** What the Dockerfile copies out of the repository. */
const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+)$/gm)].flatMap(([, words = '']) => words.split(' ').slice(0, -1))

/** The services of the compose file, as text, by name. */
const services = Object.fromEntries(
  (/^services:\n([\s\S]*?)^volumes:/m.exec(compose)?.[1] ?? '')
    .split(/^ {2}(?=[a-z-]+:$)/m)
    .map(part => [/^([a-z-]+):/.exec(part)?.[1] ?? '', part] as const)
    .filter(([name]) => name !== ''),
)

t.test('what the image is made of is in the repository, and nothing else of it gets to the engine', async t => {
  t.ok(copied.length > 10)
  t.same(
    copied.filter(path => !existsSync(path)),
    [],
  )
  const lines = ignore.split('\n').filter(line => line !== '' && !line.startsWith('#'))
  t.equal(lines[0], '*')
  const allowed = lines.slice(1).map(line => line.replace(/^!/, ''))
  const covered = (path: string) => allowed.some(each => each === path || (each === 'docker/*.mjs' && /^docker\/\w[\w-]*\.mjs$/.test(path)))
  t.same(
    copied.filter(path => !covered(path)),
    [],
  )
  t.notOk(allowed.some(each => /^(certs|\.env$|.*\.(pem|key|ini|db)$)/.test(each)))
})

t.test('the image has the version of the package, and a Node that the package asks for, pinned', async t => {
  const [, version = '', major = '', minor = ''] = /^ARG NODE_IMAGE=node:((\d+)\.(\d+)\.\d+)-bookworm-slim$/m.exec(dockerfile) ?? []
  const [, wantedMajor = '', wantedMinor = ''] = /^>=(\d+)\.(\d+)$/.exec(manifest.engines.node) ?? []
  t.ok(Number(major) > Number(wantedMajor) || (major === wantedMajor && Number(minor) >= Number(wantedMinor)), version)
  t.equal(Number(major) % 2, 0, 'long-term support')
  t.ok(dockerfile.includes(`image.base.name="docker.io/library/node:${version}-bookworm-slim"`))
  t.ok(dockerfile.includes(`image.version="${manifest.version}"`))
  t.same([...new Set([...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, from]) => from))], [`\${NODE_IMAGE}`])
})

t.test('the image runs as a user that is not root, whose number the guide tells, and holds no secret', async t => {
  t.match(dockerfile, new RegExp(`^USER ${owner}$`, 'm'))
  t.ok(compose.includes("chownSync('/certs', 1000, 1000)"))
  t.ok(guide.includes(owner))
  t.notMatch(dockerfile, /^(ENV|ARG).*(KEY|SECRET|TOKEN|PASSWORD)/m)
  t.notMatch(compose, /SOAKP_MASTER_KEY:/)
  t.notMatch(`${dockerfile}${compose}`, /sk-|BEGIN [A-Z ]*PRIVATE KEY/)
})

t.test('every service of the compose file has a read-only root, no capabilities but those it names, and cannot gain more', async t => {
  t.same(Object.keys(services).sort(), ['certbot', 'local-ca', 'permissions', 'soakp'])
  for (const [name, service] of Object.entries(services)) {
    t.match(service, /^ {4}read_only: true$/m, name)
    t.match(service, /^ {4}cap_drop: \[ALL\]$/m, name)
    t.match(service, /no-new-privileges:true/, name)
    t.notMatch(service, /privileged|docker\.sock|network_mode: host/, name)
  }
  t.notMatch(services.soakp ?? '', /cap_add/)
  t.match(services.soakp ?? '', /"\$\{PUBLISH:-127\.0\.0\.1:3033:3033\}"/, 'only this machine, unless told')
})

t.test('every setting can be given to the container; files that the compose file mounts are there', async t => {
  // the home and the address are the image's own; the port is mapped by PUBLISH; a master key in the environment would be shown by `docker inspect`
  const own = ['SOAKP_HOME', 'SOAKP_HOST', 'SOAKP_PORT', 'SOAKP_MASTER_KEY']
  const given = [...(services.soakp ?? '').matchAll(/^ {6}(SOAKP_\w+):$/gm)].map(([, name]) => name)
  t.same(
    given.toSorted(),
    Object.values(schema)
      .map(({ env }) => env)
      .filter(name => !own.includes(name))
      .sort(),
  )
  const mounted = [...compose.matchAll(/^ {6}- (\.\/[^:$]+):/gm)].map(([, path = '']) => path)
  t.ok(mounted.length > 3)
  t.same(
    mounted.filter(path => !existsSync(path)),
    [],
  )
})

t.test('a container is given longer to end than the daemon gives its streams', async t => {
  const grace = Number.parseInt(/stop_grace_period: (\d+)s/.exec(compose)?.[1] ?? '', 10)
  t.ok(grace > Number.parseInt(schema.shutdownGraceMs.byDefault ?? '', 10))
})
