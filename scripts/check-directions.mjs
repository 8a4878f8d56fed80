// npm run directions [-- folder]: proves that imports under src/ run one way, as docs/ARCHITECTURE.md draws it.
// Type imports, dynamic imports, re-exports and require() count like any other: they tie files together all the same.
//
// Prints what it checked and each breach with file, import and remedy; exits 1 when there is a breach.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import ts from 'typescript'

/** For each folder of src/ the folders that it may import from. Files at the root of src/ join all; nobody imports them. */
const MAY_IMPORT = {
  shared: [],
  lease: ['shared'],
  audit: ['shared'],
  fork: ['audit', 'shared'],
  observe: ['shared'],
  client: ['shared'],
  relay: ['client', 'lease', 'shared'],
  worker: ['relay', 'client', 'lease', 'fork', 'observe', 'shared'],
  primary: ['lease', 'fork', 'audit', 'observe', 'shared'],
  manager: ['observe', 'shared'],
  control: ['manager', 'primary', 'lease', 'fork', 'audit', 'observe', 'shared'],
  cli: ['relay', 'control', 'manager', 'primary', 'lease', 'fork', 'audit', 'observe', 'shared'],
}
/** Libraries with rough edges: each is known to one file. */
const ONE_FILE_LIBRARIES = ['ws', 'proper-lockfile', 'pidusage', 'pino', 'rotating-file-stream']
/** What a client, which works in a plain script, may not reach, not even through others. */
const NOT_FOR_CLIENTS = /^(node:)?cluster$/

const source = resolve(process.argv[2] ?? 'src')
const imports = readImports(source)
const breaches = [
  ...findWrongWays(imports),
  ...findSharedLibraries(imports),
  ...findClusterInClients(imports),
  ...findCycles(imports),
]
for (const breach of breaches) console.log(breach)
const edges = [...imports.values()].reduce((sum, { files }) => sum + files.length, 0)
console.log(
  `directions: ${imports.size} files, ${edges} imports between them; ${Object.keys(MAY_IMPORT).length} folders, ` +
    `${ONE_FILE_LIBRARIES.join(', ')} in one file each, no cluster in clients, no cycle: ` +
    (breaches.length === 0 ? 'all kept' : `${breaches.length} broken`),
)
process.exitCode = imports.size === 0 || breaches.length > 0 ? 1 : 0

/**
 * Every source file with what it imports; files by their path below `folder`, packages by their name.
 * @param {string} folder
 * @returns {Map<string, { files: string[], packages: string[] }>}
 */
function readImports(folder) {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.[mc]?tsx?$/.test(file))
    .map((file) => file.replaceAll(sep, '/'))
  const known = new Set(files)
  return new Map(files.sort().map((file) => [file, importsOf(folder, file, known)]))
}

/** @param {string} folder @param {string} file @param {Set<string>} known */
function importsOf(folder, file, known) {
  const text = readFileSync(join(folder, file), 'utf8')
  const names = ts.preProcessFile(text, true, true).importedFiles.map(({ fileName }) => fileName)
  const own = names.filter((name) => name.startsWith('.')).map((name) => sourceOf(folder, file, name, known))
  const packages = names.filter((name) => !name.startsWith('.'))
  return { files: [...new Set(own)], packages: [...new Set(packages)] }
}

/** `./x.js` as written in `file` is the source file x.ts. @param {string} folder @param {string} file @param {string} name @param {Set<string>} known */
function sourceOf(folder, file, name, known) {
  const target = relative(folder, resolve(folder, dirname(file), name)).replaceAll(sep, '/')
  const candidates = [target.replace(/\.([mc]?)js$/, '.$1ts'), target.replace(/\.js$/, '.tsx'), target]
  return candidates.find((candidate) => known.has(candidate)) ?? target
}

/** @param {ReturnType<typeof readImports>} all */
function* findWrongWays(all) {
  for (const [file, { files }] of all) {
    const from = folderOf(file)
    if (from !== null && !Object.hasOwn(MAY_IMPORT, from)) {
      yield `${file}: folder ${from}/ has no direction; add it to MAY_IMPORT in scripts/check-directions.mjs`
      continue
    }
    for (const target of files) {
      const to = folderOf(target)
      if (target.startsWith('..')) yield `${file} imports ${target}: outside the sources; move it below src/`
      else if (to === null)
        yield `${file} imports ${target}: files at the root of src/ join the parts; import the part itself`
      else if (from !== null && from !== to && !mayImport(from, to)) {
        yield `${file} imports ${target}: ${from}/ may import ${listed(from)}; move what both need to where both may import it`
      }
    }
  }
}

/** @param {string} from @param {string} to */
function mayImport(from, to) {
  return /** @type {Record<string, string[]>} */ (MAY_IMPORT)[from]?.includes(to) ?? false
}

/** @param {string} from */
function listed(from) {
  const folders = /** @type {Record<string, string[]>} */ (MAY_IMPORT)[from] ?? []
  return folders.length === 0 ? 'nothing but itself' : `only ${folders.map((name) => `${name}/`).join(', ')}`
}

/** @param {ReturnType<typeof readImports>} all */
function* findSharedLibraries(all) {
  for (const library of ONE_FILE_LIBRARIES) {
    const users = [...all].filter(([, { packages }]) => packages.some((name) => packageOf(name) === library))
    if (users.length > 1) {
      const names = users.map(([file]) => file).join(', ')
      yield `${library} is imported by ${users.length} files (${names}): keep it in one and let the others import that`
    }
  }
}

/** @param {ReturnType<typeof readImports>} all */
function* findClusterInClients(all) {
  const clients = [...all.keys()].filter((file) => folderOf(file) === 'client')
  for (const file of reachableFrom(clients, all)) {
    const cluster = all.get(file)?.packages.find((name) => NOT_FOR_CLIENTS.test(name))
    if (cluster !== undefined)
      yield `${file} imports ${cluster}: client/ works in a plain script and reaches this file`
  }
}

/** @param {string[]} starts @param {ReturnType<typeof readImports>} all */
function reachableFrom(starts, all) {
  const reached = new Set(starts)
  for (const file of reached) for (const target of all.get(file)?.files ?? []) reached.add(target)
  return reached
}

/** Depth first; each cycle is told once, as the path that closes it. @param {ReturnType<typeof readImports>} all */
function findCycles(all) {
  /** @type {string[]} */
  const found = []
  const finished = new Set()
  /** @param {string} file @param {string[]} path */
  const visit = (file, path) => {
    if (path.includes(file)) {
      found.push(
        `import cycle: ${[...path.slice(path.indexOf(file)), file].join(' -> ')}: break it at its weakest import`,
      )
      return
    }
    if (finished.has(file)) return
    for (const target of all.get(file)?.files ?? []) visit(target, [...path, file])
    finished.add(file)
  }
  for (const file of all.keys()) visit(file, [])
  return found
}

/** @param {string} file */
function folderOf(file) {
  return file.includes('/') ? (file.split('/', 1)[0] ?? null) : null
}

/** `ws/lib/x.js` belongs to ws, `@a/b/c` to @a/b. @param {string} name */
function packageOf(name) {
  return name.split('/', name.startsWith('@') ? 2 : 1).join('/')
}
