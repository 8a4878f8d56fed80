import t, { type Test } from 'tap'
import { CommandLineError, parseCommandLine } from '../../src/cli/command-line.js'
import { logsCommand } from '../../src/cli/commands/logs.js'
import { reloadCommand } from '../../src/cli/commands/reload.js'
import { startCommand } from '../../src/cli/commands/start.js'
import { exitCodeOf } from '../../src/cli/exit-code.js'
import { Screen } from '../../src/cli/screen.js'
import { ERROR_CODES, type ErrorCode, ForksafeError } from '../../src/shared/errors.js'

const silent = { write: () => {}, on: () => {} }
const parse = (...argv: string[]) =>
  parseCommandLine(argv, [startCommand, reloadCommand, logsCommand], new Screen(silent, silent, {}))

const parsed = (t: Test, argv: string[], expected: object): void => {
  t.match(parse(...argv), { kind: 'call', ...expected }, argv.join(' '))
}

t.test('flags, operands and what belongs to the script are told apart', async (t) => {
  parsed(t, ['start', 'app.js', '-i', '2', '--', '-i', '--json', '--', 'x'], {
    command: startCommand,
    flags: { workers: '2' },
    operands: ['app.js'],
    args: ['-i', '--json', '--', 'x'],
  })
  parsed(t, ['start', '--', 'app.js'], { operands: [], args: ['app.js'] })
  parsed(t, ['start', 'app.js', '--env', 'A=1', '--env', 'B=2'], { flags: { env: ['A=1', 'B=2'] } })
  parsed(t, ['start', '--ready-timeout=5s', 'app.js'], { flags: { readyTimeout: '5s' }, args: undefined })
  parsed(t, ['logs', '-fn', '5', '--json'], {
    command: logsCommand,
    flags: { follow: true, lines: '5', json: true },
  })
})

t.test('a flag that was not given leaves no trace', async (t) => {
  const call = parse('start', 'app.js')
  t.same(call.kind === 'call' && call.flags, {})
})

t.test('mistakes carry the exit code of their command', async (t) => {
  const mistake = (...argv: string[]): number | undefined => {
    try {
      parse(...argv)
      return undefined
    } catch (error) {
      return error instanceof CommandLineError ? error.mistake : undefined
    }
  }
  t.equal(mistake('start', '--nope'), 78)
  t.equal(mistake('start', 'a', 'b'), 78)
  t.equal(mistake('reload', '--nope'), 2)
  t.equal(mistake('reload', '--', 'x'), 2)
  t.equal(mistake('nope'), 2)
  t.equal(mistake('--nope'), 2)
})

t.test('every error code has its exit code', async (t) => {
  const codes = Object.fromEntries(
    Object.keys(ERROR_CODES)
      .filter((code): code is ErrorCode => code in ERROR_CODES)
      .map((code) => [
        code,
        [78, 2].map((mistake) => exitCodeOf(new ForksafeError(code, ''), mistake === 78 ? 78 : 2)),
      ]),
  )
  t.match(codes, {
    FORKSAFE_ERR_OPTION_INVALID: [78, 2],
    FORKSAFE_ERR_OPTION_UNKNOWN: [78, 2],
    FORKSAFE_ERR_CONFIG_UNREADABLE: [78, 2],
    FORKSAFE_ERR_SCRIPT_UNREADABLE: [78, 2],
    FORKSAFE_ERR_RUNTIME_FOLDER: [78, 2],
    FORKSAFE_ERR_NAME_RUNNING: [8, 8],
    FORKSAFE_ERR_NOT_RUNNING: [3, 3],
    FORKSAFE_ERR_NAME_AMBIGUOUS: [2, 2],
    FORKSAFE_ERR_CONTROL_TIMEOUT: [4, 4],
    FORKSAFE_ERR_CONTROL_REFUSED: [1, 1],
    FORKSAFE_ERR_RELOAD_FAILED: [5, 5],
  })
  t.equal(exitCodeOf(new Error('boom'), 78), 1)
})
