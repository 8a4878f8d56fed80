// Finds and reads supervisor.config.*: from a path to the raw object that somebody wrote. What the keys mean and whether
// the values are allowed: src/shared/option-table.ts and resolve-settings.ts.
// It is code of the operator and runs in this process, because its hooks do.

import { closeSync, constants, existsSync, fstatSync, openSync, readSync } from 'node:fs'
import { extname, join } from 'node:path'
import { formatDuration } from './duration.js'
import { type ErrorCode, ForksafeError, messageOf } from './errors.js'
import { isPlainObject } from './option-values.js'

/** In order of preference. */
export const CONFIG_FILES = ['ts', 'mjs', 'js', 'cjs', 'json'].map((ending) => `supervisor.config.${ending}`)

const MAX_BYTES = 1024 * 1024
const EVALUATION_TIMEOUT = 10_000

/** The paths of the configuration files in a folder, the one that counts first. */
export const findConfigFiles = (folder: string): string[] =>
  CONFIG_FILES.map((name) => join(folder, name)).filter((path) => existsSync(path))

/**
 * Reads a configuration file as it is now: a second call sees the new text.
 *
 * `.json` is parsed; everything else is evaluated and must export an object, or a function (async too) that returns one.
 * Of what it imports only TypeScript is read anew: other modules are kept by Node.
 *
 * @param path absolute.
 * @param shown the path as errors name it.
 * @throws FORKSAFE_ERR_CONFIG_UNREADABLE: missing, not a file, larger than 1 MiB, not valid (with line and column), its
 *   code threw or did not settle within 10 s, no object.
 */
export const readConfigFile = async (path: string, shown: string): Promise<Record<string, unknown>> => {
  const source = readBounded(path, shown)
  const exported = extname(path) === '.json' ? parseJson(source, shown) : await evaluate(source, path, shown)
  if (!isPlainObject(exported)) {
    throw unreadable(`${shown}: does not export an object; write export default { script: 'app.js' }`)
  }
  return exported
}

/** Reads without following what a FIFO or a device would do to a reader: never hangs, never swells. */
const readBounded = (path: string, shown: string): string => {
  let file: number | undefined
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const stat = fstatSync(file)
    if (stat.isDirectory()) throw unreadable(`${shown}: is a folder; name the file in it`)
    if (!stat.isFile()) throw unreadable(`${shown}: is not a regular file`)
    if (stat.size > MAX_BYTES) {
      throw unreadable(`${shown}: holds ${stat.size} bytes; a configuration file may hold ${MAX_BYTES}`)
    }
    const bytes = Buffer.alloc(MAX_BYTES)
    let length = 0
    for (;;) {
      const read = readSync(file, bytes, length, MAX_BYTES - length, null)
      if (read === 0) break
      length += read
    }
    return bytes.toString('utf8', 0, length).replace(/^\uFEFF/, '')
  } catch (error) {
    if (error instanceof ForksafeError) throw error
    throw unreadable(`${shown}: cannot be read (${errnoOf(error)}); ${remedyFor(error)}`, error)
  } finally {
    if (file !== undefined) closeSync(file)
  }
}

const remedyFor = (error: unknown): string => {
  switch (errnoOf(error)) {
    case 'ENOENT':
      return 'there is no such file'
    case 'EACCES':
      return 'give this user the right to read it'
    default:
      return 'check the path'
  }
}

const parseJson = (source: string, shown: string): unknown => {
  try {
    return JSON.parse(source)
  } catch (error) {
    const before = source.slice(0, jsonErrorPosition(source)).split('\n')
    const place = `${before.length}:${(before.at(-1)?.length ?? 0) + 1}`
    const text = error instanceof Error ? error.message : String(error)
    const why = messageOf(text.replace(/(, (\.\.\.)?".*| (in JSON )?at position .*)$/s, ''))
    throw unreadable(`${shown}:${place}: is not valid JSON: ${why}`, error)
  }
}

/** V8 names no position in most of its messages. It lies after the longest part that could still have gone on. */
const jsonErrorPosition = (source: string): number => {
  let [valid, tooLong] = [0, source.length + 1]
  while (tooLong - valid > 1) {
    const middle = Math.floor((valid + tooLong) / 2)
    if (couldGoOn(source.slice(0, middle))) valid = middle
    else tooLong = middle
  }
  return valid
}

const couldGoOn = (start: string): boolean => {
  try {
    JSON.parse(start)
    return true
  } catch (error) {
    const message = messageOf(error)
    const position = /at position (\d+)/.exec(message)?.[1]
    return position === undefined ? message.includes('end of JSON input') : Number(position) >= start.length
  }
}

const evaluate = async (source: string, path: string, shown: string): Promise<unknown> => {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      const limit = formatDuration(EVALUATION_TIMEOUT)
      reject(
        unreadable(`${shown}: was not evaluated within ${limit}; it must not wait for anything that long`),
      )
    }, EVALUATION_TIMEOUT)
  })
  try {
    return await Promise.race([exportOf(source, path), deadline])
  } catch (error) {
    if (error instanceof ForksafeError) throw error
    throw unreadable(`${shown}${describe(error, path)}`, error)
  } finally {
    clearTimeout(timer)
  }
}

/**
 * Transpiled whatever its ending and without caches: Node would keep `.mjs`, `.cjs` and CommonJS `.js` as they were
 * first read, and jiti's file cache may lie in a shared temporary folder.
 */
const exportOf = async (source: string, path: string): Promise<unknown> => {
  const { createJiti } = await import('jiti')
  const jiti = createJiti(path, { moduleCache: false, fsCache: false, nativeModules: ['forksafe', 'ws'] })
  const module: unknown = await jiti.evalModule(source, {
    id: path,
    filename: path,
    ext: extname(path),
    async: true,
    forceTranspile: true,
  })
  const exported = hasDefault(module) ? module.default : module
  return typeof exported === 'function' ? await exported() : exported
}

const hasDefault = (module: unknown): module is { default: unknown } =>
  typeof module === 'object' && module !== null && 'default' in module

/** `:2:3: Unexpected token` for what the parser refused, `:2:6: nope is not defined` for what the code threw. */
const describe = (error: unknown, path: string): string => {
  const text = error instanceof Error ? error.message : String(error)
  const parsed = /^ParseError: (.*?)\s*\n\s*(.*?):(\d+):(\d+)/s.exec(text)
  if (parsed) {
    const [, message, file, line, column] = parsed
    const place = file === path ? `:${line}:${column}` : `, ${file}:${line}:${column}`
    return `${place}: is not valid: ${message}`
  }
  // The place of an import is one in the transpiled text.
  const isImport = errnoOf(error) === 'MODULE_NOT_FOUND' || errnoOf(error) === 'ERR_MODULE_NOT_FOUND'
  const stack = error instanceof Error && !isImport ? (error.stack ?? '') : ''
  const at = stack.indexOf(`${path}:`)
  const place = at < 0 ? '' : (/^:\d+:\d+/.exec(stack.slice(at + path.length))?.[0] ?? '')
  return `${place}: threw when it was evaluated: ${messageOf(error)}`
}

export const errnoOf = (error: unknown): string => {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : messageOf(error)
}

const CODE: ErrorCode = 'FORKSAFE_ERR_CONFIG_UNREADABLE'
const unreadable = (message: string, cause?: unknown): ForksafeError =>
  new ForksafeError(CODE, message, cause === undefined ? {} : { cause })
