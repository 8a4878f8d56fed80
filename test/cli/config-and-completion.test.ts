// What needs no running supervisor: checking a configuration, and what a shell is told may follow.

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { socketFolder } from '../control/socket-folder.js'
import { cleanEnv, uninstrumentChildren } from '../support/clean-children.js'
import { CLI, runCli } from '../support/run-cli.js'

uninstrumentChildren()

t.test('config check says what start would run with, and starts nothing', async (t) => {
  const cwd = t.testdir({
    'app.js': '',
    'supervisor.config.json':
      '{"script":"app.js","workers":2,"env":{"TOKEN":"hidden"},"restart":{"intensity":3}}',
  })
  const home = socketFolder(t)
  const { code, stdout, stderr } = await runCli(['config', 'check', '--ready-timeout', '5s'], { home, cwd })
  t.equal(code, 0, stderr)
  t.match(stdout, /^good\nread from +.*supervisor\.config\.json\n/)
  t.match(stdout, /\nworkers +2\n/)
  t.match(stdout, /\nreadyTimeout +5000\n/)
  t.match(stdout, /\nenv +TOKEN\n/)
  t.notMatch(stdout, /hidden/)
  const json = JSON.parse((await runCli(['config', 'check', '--json'], { home, cwd })).stdout)
  t.match(json, {
    workers: 2,
    restart: { intensity: 3, period: 60_000 },
    configFile: join(cwd, 'supervisor.config.json'),
  })
})

t.test('config check exits 78 with one line for each kind of mistake', async (t) => {
  const cwd = t.testdir({
    'app.js': 'const = 3',
    'good.js': '',
    'c.json': '{"script":"good.js","wrokers":2}',
  })
  const home = socketFolder(t)
  const mistakes: [args: string[], message: RegExp][] = [
    [['check', 'app.js'], /app\.js:1/],
    [['check', 'none.js'], /does not exist/],
    [['check', '--config', 'c.json'], /did you mean workers\?/],
    [['check', 'good.js', '-i', '0'], /--workers: "0" would start no worker/],
    [['check', 'good.js', '--nmae', 'x'], /unknown option '--nmae'/],
    [['show', 'good.js'], /write 'supervisor config check'/],
    [[], /missing required argument 'check'/],
  ]
  for (const [args, message] of mistakes) {
    const { code, stderr } = await runCli(['config', ...args], { home, cwd })
    t.equal(code, 78, args.join(' '))
    t.match(stderr, message)
    t.equal(stderr.trim().split('\n').length, 1, stderr)
  }
})

const wordsAfter = async (home: string, ...words: string[]): Promise<string[]> => {
  const { stdout } = await runCli(['completion', '--words', '--', ...words], { home })
  return stdout.split('\n').filter((word) => word !== '')
}

t.test('commands, flags and deeds are completed', async (t) => {
  const home = socketFolder(t)
  t.same(await wordsAfter(home, 'st'), ['start', 'stop', 'status'])
  t.same(await wordsAfter(home, 'start', '--ready'), ['--ready-timeout'])
  t.same(await wordsAfter(home, 'logs', '--f'), ['--follow'])
  t.same(await wordsAfter(home, 'config', ''), ['check'])
  t.same(await wordsAfter(home, 'completion', 'z'), ['zsh'])
  t.same(await wordsAfter(home, 'start', 'ap'), [], 'the shell offers files')
  t.same(await wordsAfter(home, 'nothing', '--x'), [])
})

t.test(
  'the script for bash completes in a real bash',
  { skip: hasBash() ? false : 'needs bash' },
  async (t) => {
    t.same(completeInBash(t, ['supervisor', 're']), ['relay', 'reload', 'restart'])
    t.same(completeInBash(t, ['supervisor', 'stop', '--no']), ['--now'])
  },
)

t.test('an unknown shell is refused with those that there are', async (t) => {
  const home = socketFolder(t)
  for (const shell of ['bash', 'zsh', 'fish'])
    t.equal((await runCli(['completion', shell], { home })).code, 0)
  t.match(await runCli(['completion', 'csh'], { home }), {
    code: 2,
    stderr: 'supervisor: shell: "csh" is not one of bash, zsh, fish\n',
  })
})

function hasBash(): boolean {
  return spawnSync('bash', ['-c', 'mapfile -t X < /dev/null']).status === 0
}

const completeInBash = (t: Test, words: string[]): string[] => {
  const folder = t.testdir({})
  const script = `
    supervisor() { "${process.execPath}" "${CLI}" "$@"; }
    source <(supervisor completion bash)
    COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}
    _supervisor
    printf '%s\\n' "\${COMPREPLY[@]}"
  `
  const { stdout } = spawnSync('bash', ['-c', script], {
    env: cleanEnv({ FORKSAFE_HOME: folder }),
    encoding: 'utf8',
  })
  return stdout.split('\n').filter((word) => word !== '')
}
