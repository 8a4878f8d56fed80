// From which place of the application's code something was done: a trace is taken where it happens, which is cheap, and
// read where it is wanted, which costs more. Frames of Node and of this package are left out; the first frame outside
// node_modules is the place, or the first within where there is none.

import { findSourceMap } from 'node:module'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Frames of the stack, not read yet. It keeps what it refers to alive: read it soon. */
export interface Trace {
  readonly stack?: unknown
}

export interface CallSite {
  /** `app/feed.js:12:5`, relative to the working folder; null: no frame of the application is on the stack. */
  at: string | null
  /** `http` for the pools of an HTTP client, the name of the package that is nearest, null for the application itself. */
  via: string | null
  /** Frames of the application, one a line; empty without any. */
  stack: string
  /** Whether a module was being loaded: that happens once, whoever asked for it. */
  isModuleLevel: boolean
  /** Whether Node's HTTP server was just handing a request to its handler. */
  isHandler: boolean
}

interface Frame {
  file: string
  line: number
  column: number
  name: string
}

/** Deep enough to reach through a library, its helpers and Node's own frames. */
const DEPTH = 40
/** Frames of the application in a stack, and the longest text of a place, in characters. */
const SHOWN = 8
const MAX_PLACE = 200

const HERE = fileURLToPath(import.meta.url)
const OWN = HERE.slice(0, Math.max(HERE.lastIndexOf('/dist/'), HERE.lastIndexOf('/src/')) + 1)
const OWN_FOLDERS = [`${OWN}dist/`, `${OWN}src/`]
const LIBRARY = /[\\/]node_modules[\\/]/

/** @param below the function whose frame, with all above it, is left out. */
export const takeTrace = (below: (...args: never[]) => unknown): Trace => {
  const trace: Trace = {}
  const before = Error.stackTraceLimit
  // Where intrinsics are frozen the limit stays what it is.
  Reflect.set(Error, 'stackTraceLimit', DEPTH)
  Error.captureStackTrace(trace, below)
  Reflect.set(Error, 'stackTraceLimit', before)
  return trace
}

export const readTrace = (trace: Trace, folder = workingFolder): CallSite => {
  const frames: Frame[] = []
  let isModuleLevel = false
  let isHandler = false
  let isHttp = false
  for (const site of callSites(trace)) {
    const file = pathOf(site.getFileName())
    if (file === null || file.startsWith('node:')) {
      isModuleLevel ||= file?.startsWith('node:internal/modules/') === true
      isHttp ||= frames.length === 0 && file !== null && HTTP_CLIENT.test(file)
      isHandler ||= file === 'node:_http_server' && site.getFunctionName() === 'parserOnIncoming'
      continue
    }
    if (OWN_FOLDERS.some((own) => file.startsWith(own))) continue
    const name = site.getFunctionName() ?? ''
    frames.push({ file, line: site.getLineNumber() ?? 0, column: site.getColumnNumber() ?? 0, name })
  }
  const place = frames.find(({ file }) => !LIBRARY.test(file)) ?? frames[0]
  return {
    at: place === undefined ? null : placeOf(place, folder),
    via: isHttp ? 'http' : packageOf(frames[0]?.file),
    stack: frames
      .slice(0, SHOWN)
      .map((frame) => {
        const where = placeOf(frame, folder)
        return frame.name === '' ? `at ${where}` : `at ${frame.name.slice(0, 40)} (${where})`
      })
      .join('\n'),
    isModuleLevel,
    isHandler,
  }
}

/** Node's clients of HTTP/1 and HTTP/2, and fetch(): they keep connections for requests to come. */
const HTTP_CLIENT =
  /^node:(_http_client|_http_agent|https?$|http2$|internal\/http2\/|internal\/deps\/undici\/)/

const packageOf = (file: string | undefined): string | null => {
  const [name] =
    file
      ?.split(LIBRARY)
      .at(-1)
      ?.match(/^(@[^\\/]+[\\/])?[^\\/]+/) ?? []
  if (file === undefined || name === undefined || !LIBRARY.test(file)) return null
  return name === 'undici' ? 'http' : name
}

/** The frames as V8 has them; formatting is the application's own affair (`Error.prepareStackTrace`) and left as it is. */
const callSites = (trace: Trace): readonly NodeJS.CallSite[] => {
  let sites: readonly NodeJS.CallSite[] = []
  const before = Error.prepareStackTrace
  Reflect.set(Error, 'prepareStackTrace', (_error: unknown, found: readonly NodeJS.CallSite[]) => {
    sites = found
    return ''
  })
  try {
    // Asking for it is what makes V8 read the frames.
    void trace.stack
  } finally {
    Reflect.set(Error, 'prepareStackTrace', before)
  }
  return sites
}

const pathOf = (name: string | null | undefined): string | null => {
  if (name == null) return null
  if (!name.startsWith('file:')) return name
  try {
    return fileURLToPath(name)
  } catch {
    return name
  }
}

/** Where the source lies, as far as the process runs with source maps. */
const placeOf = ({ file, line, column }: Frame, folder: string): string => {
  const origin = findSourceMap(file)?.findOrigin(line, column)
  const place =
    origin !== undefined && 'fileName' in origin
      ? { file: pathOf(origin.fileName) ?? file, line: origin.lineNumber, column: origin.columnNumber }
      : { file, line, column }
  const text = `${relative(folder, place.file)}:${place.line}:${place.column}`
  return text.length <= MAX_PLACE ? text : `…${text.slice(1 - MAX_PLACE)}`
}

const currentFolder = (): string => {
  try {
    return process.cwd()
  } catch {
    return '/'
  }
}

/** As the process started: places stay comparable whatever it does. */
const workingFolder = currentFolder()
