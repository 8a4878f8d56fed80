// Whether a script can be run at all, found out before a worker is forked for it: there, a file, readable, and free of
// syntax errors. Whether it also works is what readiness tells; that lives in src/primary.

import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { accessSync, constants, existsSync, readFileSync, type Stats, statSync } from 'node:fs'
import { dirname, extname, join } from 'node:path'
import { compileFunction } from 'node:vm'
import { errnoOf } from './config-file.js'
import { ForksafeError } from './errors.js'
import { parsesAsModule } from './module-syntax.js'

const CHECK_TIMEOUT = 10_000
/** Larger bundles are left to the worker: reading them here would hold up the primary. */
const MAX_CHECKED_BYTES = 16 * 1024 * 1024

export interface ScriptContext {
  /** Names the option in errors, as the user wrote it. */
  field: string
  nodeArgs: readonly string[]
  /** NODE_OPTIONS of the workers. */
  nodeOptions: string | undefined
}

/**
 * Settles if the script may be run.
 *
 * Syntax is checked for `.js`, `.mjs` and `.cjs`, unless node args bring a loader that may change what the text means.
 *
 * @param path absolute.
 * @throws FORKSAFE_ERR_SCRIPT_UNREADABLE naming path, line and the parser's message.
 */
export const checkScript = async (path: string, context: ScriptContext): Promise<void> => {
  const stat = statOf(path, context.field)
  if (stat.isDirectory()) throw unreadable(context.field, path, 'is a folder; name the file in it')
  if (!stat.isFile()) throw unreadable(context.field, path, 'is not a regular file')
  try {
    accessSync(path, constants.R_OK)
  } catch (error) {
    throw unreadable(
      context.field,
      path,
      `cannot be read (${errnoOf(error)}); give this user the right to read it`,
    )
  }
  if (stat.size > MAX_CHECKED_BYTES || hasLoader(context)) return
  const failure = await syntaxError(path)
  if (failure !== undefined) {
    const place = failure.line === undefined ? '' : `:${failure.line}`
    throw new ForksafeError(
      'FORKSAFE_ERR_SCRIPT_UNREADABLE',
      `${context.field}: ${path}${place}: ${failure.message}`,
      { details: { field: context.field, script: path, line: failure.line } },
    )
  }
}

const statOf = (path: string, field: string): Stats => {
  try {
    return statSync(path)
  } catch (error) {
    const code = errnoOf(error)
    const near = ['.js', '.mjs', '.cjs', '.ts']
      .map((ending) => path + ending)
      .find((other) => existsSync(other))
    const remedy = near === undefined ? 'check the path' : `did you mean ${near}?`
    throw unreadable(
      field,
      path,
      code === 'ENOENT' ? `does not exist; ${remedy}` : `cannot be read (${code})`,
    )
  }
}

const LOADER =
  /(^|\s)(--import|--require|-r|--loader|--experimental-loader|--experimental-transform-types)([\s=]|$)/

const hasLoader = ({ nodeArgs, nodeOptions = '' }: ScriptContext): boolean =>
  LOADER.test(nodeArgs.join(' ')) || LOADER.test(nodeOptions)

interface SyntaxFailure {
  line: number | undefined
  message: string
}

const syntaxError = async (path: string): Promise<SyntaxFailure | undefined> => {
  const kind = kindOf(path)
  if (kind === undefined) return undefined
  const source = readFileSync(path, 'utf8')
  // What parses here needs no process of its own; for what does not, that process finds the words.
  if (kind !== 'module' && isCommonJs(source)) return undefined
  const text = createHash('sha256').update(`${kind}\n${source}`).digest('hex')
  if (text === lastParsed) return undefined
  if (kind !== 'commonjs' && (await parsesAsModule(source))) {
    lastParsed = text
    return undefined
  }
  const failure =
    kind === 'unknown'
      ? await check(['--check', '--input-type=module', '-'], source)
      : await check(['--check', path])
  if (failure === undefined) lastParsed = text
  return failure
}

/** The last module that was let through: a rolling restart of an unchanged script need not ask again. */
let lastParsed: string | undefined

/** `unknown`: without a package type Node decides by the text, and `node --check` lets pass all that looks like a module. */
const kindOf = (path: string): 'module' | 'commonjs' | 'unknown' | undefined => {
  switch (extname(path)) {
    case '.mjs':
      return 'module'
    case '.cjs':
      return 'commonjs'
    case '.js':
      return packageType(dirname(path)) ?? 'unknown'
    default:
      return undefined
  }
}

/** Parses, and runs nothing. */
const isCommonJs = (source: string): boolean => {
  try {
    compileFunction(source.replace(/^\uFEFF/, '').replace(/^#!/, '//'), [
      'exports',
      'require',
      'module',
      '__filename',
      '__dirname',
    ])
    return true
  } catch {
    return false
  }
}

/** `type` of the nearest package.json. */
const packageType = (folder: string): 'module' | 'commonjs' | undefined => {
  for (let at = folder; ; at = dirname(at)) {
    try {
      const parsed: unknown = JSON.parse(readFileSync(join(at, 'package.json'), 'utf8'))
      const type: unknown =
        typeof parsed === 'object' && parsed !== null && 'type' in parsed ? parsed.type : undefined
      return type === 'module' || type === 'commonjs' ? type : undefined
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT' || at === dirname(at)) return undefined
    }
  }
}

/** Runs `node --check`. One that cannot be run or takes too long decides nothing: the worker's own start will. */
const check = (args: string[], input?: string): Promise<SyntaxFailure | undefined> =>
  new Promise((resolve) => {
    const { NODE_OPTIONS: _options, NODE_V8_COVERAGE: _coverage, ...env } = process.env
    const options = { env, timeout: CHECK_TIMEOUT, killSignal: 'SIGKILL', maxBuffer: 1024 * 1024 } as const
    const child = execFile(process.execPath, args, options, (error, _stdout, stderr) => {
      resolve(error === null ? undefined : parserMessage(stderr))
    })
    // A child that ended before it read its input: what it said decides.
    child.stdin?.on('error', () => {})
    child.stdin?.end(input ?? '')
  })

/** The line number of the first line, and the line that names the error, of what node prints for a syntax error. */
const parserMessage = (stderr: string): SyntaxFailure | undefined => {
  const message = /^[A-Za-z]*Error(?: \[\w+\])?: .*$/m.exec(stderr)?.[0]
  if (message === undefined) return undefined
  const line = /^.*:(\d+)$/m.exec(stderr)?.[1]
  return { line: line === undefined ? undefined : Number(line), message }
}

const unreadable = (field: string, path: string, why: string): ForksafeError =>
  new ForksafeError('FORKSAFE_ERR_SCRIPT_UNREADABLE', `${field}: ${path} ${why}`, {
    details: { field, script: path },
  })
