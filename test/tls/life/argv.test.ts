import t from 'tap'
import { commandLine } from '../../../src/tls/life/argv.js'

t.test('a command is a program and its arguments, in words with quotes or in JSON', async t => {
  const rows: [string, string[]][] = [
    ['systemctl reload nginx', ['systemctl', 'reload', 'nginx']],
    ['  /opt/a\\ b  \'it\'\'s\' "x \\"y\\" $HOME" --a=1 ', ['/opt/a b', 'its', 'x "y" $HOME', '--a=1']],
    ['a ""', ['a', '']],
    ['["sh", "-c", "echo $RENEWED_LINEAGE | wc"]', ['sh', '-c', 'echo $RENEWED_LINEAGE | wc']],
  ]
  for (const [text, argv] of rows) t.same(commandLine(text, '--deploy-hook'), argv, text)
})

t.test('what only a shell would understand is refused, not handed on as something else', async t => {
  for (const text of [
    '',
    '  ',
    '""',
    'a | b',
    'a && b',
    'a; b',
    'echo $HOME',
    'ls *.pem',
    'a > b',
    '`a`',
    "it's",
    'a "b',
    '[1]',
    '["a"',
    '[]',
  ]) {
    t.throws(() => commandLine(text, '--deploy-hook'), { code: 'usage', message: /--deploy-hook/, hint: /script/ }, text)
  }
})
