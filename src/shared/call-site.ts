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
  for (const site of callSites(trace)) {
    const file = pathOf(site.getFileName())
    if (file === null || file.startsWith('node:')) {
      isModuleLevel ||= file?.startsWith('node:internal/modules/') === true
      isHandler ||= file === 'node:_http_server' && site.getFunctionName() === 'parserOnIncoming'
      continue
    }
    if (!isOwn(file)) frames.push(frameOf(site, file))
  }
  const place = frames.find(({ file }) => !LIBRARY.test(file)) ?? frames[0]
  return {
    at: place === undefined ? null : placeOf(place, folder),
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

export interface Place {
  /** As in {@link CallSite}. */
  at: string | null
  /** `http`: a client of HTTP did it for that place; the name of the package that did; null: the place itself, or not known. */
  via: string | null
}

/** Its place alone: for what is done often. */
export const placeIn = (trace: Trace, folder = workingFolder): Place => {
  let inLibrary: NodeJS.CallSite | undefined
  let isHttp = false
  const viaLibrary = (): string | null => (isHttp ? HTTP : packageOf(inLibrary?.getFileName()))
  for (const site of callSites(trace)) {
    const name = site.getFileName()
    const kind = kindOf(name)
    if (kind === 'application') return { at: knownPlaceOf(site, folder), via: viaLibrary() }
    if (kind === 'library') inLibrary ??= site
    else if (kind === 'node') isHttp ||= inLibrary === undefined && HTTP_CLIENT.test(name ?? '')
  }
  return { at: inLibrary === undefined ? null : knownPlaceOf(inLibrary, folder), via: viaLibrary() }
}

const HTTP = 'http'
/** Node's clients of HTTP/1 and HTTP/2, and fetch(): they keep connections for requests to come. */
const HTTP_CLIENT =
  /^node:(_http_client|_http_agent|https?$|http2$|internal\/http2\/|internal\/deps\/undici\/)/
const PACKAGE = /.*[\\/]node_modules[\\/]((?:@[^\\/]+[\\/])?[^\\/]+)/

const packageOf = (name: string | null | undefined): string | null => {
  const [, found = null] = PACKAGE.exec(name ?? '') ?? []
  return found === 'undici' ? HTTP : found
}

type Kind = 'node' | 'own' | 'library' | 'application'

/** What scripts are, by the name that V8 has of them. */
const kinds = new Map<string, Kind>()

const kindOf = (name: string | null | undefined): Kind => {
  if (name == null || name.startsWith('node:')) return 'node'
  const found = kinds.get(name)
  if (found !== undefined) return found
  const file = pathOf(name) ?? name
  const kind = isOwn(file) ? 'own' : LIBRARY.test(file) ? 'library' : 'application'
  if (kinds.size < MAX_KNOWN) kinds.set(name, kind)
  return kind
}

/** Places that were asked for before, by script and position: most processes dial from a few. */
const known = new Map<string, string>()
const MAX_KNOWN = 1_000

const knownPlaceOf = (site: NodeJS.CallSite, folder: string): string => {
  const name = site.getFileName() ?? ''
  const key = `${name}:${site.getLineNumber()}:${site.getColumnNumber()}:${folder}`
  const found = known.get(key)
  if (found !== undefined) return found
  const place = placeOf(frameOf(site, pathOf(name) ?? name), folder)
  if (known.size < MAX_KNOWN) known.set(key, place)
  return place
}

const isOwn = (file: string): boolean => OWN_FOLDERS.some((own) => file.startsWith(own))

const frameOf = (site: NodeJS.CallSite, file: string): Frame => ({
  file,
  line: site.getLineNumber() ?? 0,
  column: site.getColumnNumber() ?? 0,
  name: site.getFunctionName() ?? '',
})

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
