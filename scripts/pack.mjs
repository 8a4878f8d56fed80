// Packs an entry of dist/ and the files that it imports into one CommonJS file, run by the second half of the build.
// Node reads, resolves and links each module file by itself; a worker has twenty and `supervisor start` seventy before the
// first line of the app can run. Packages and Node's own modules stay outside, and are loaded when they are first asked for.
//
// It knows what TypeScript writes and this project uses, no more: no cycles, no `export *` of packages, no top-level await
// except of an import. The files in dist/ are there unpacked too, for coverage and for stacks (src/shared/packed.ts).
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, relative, resolve } from 'node:path'
import { Script } from 'node:vm'
import ts from 'typescript'

/**
 * @param {string} root dist/
 * @param {string} entry Relative to it, such as `cli/main.js`; what it exports is what the packed file exports.
 * @param {string} packed Relative to it, such as `supervisor.cjs`.
 */
export function pack(root, entry, packed) {
  /** @type {Map<string, string>} Path in dist/ to the text of its function. */
  const modules = new Map()
  collect(entry)
  const functions = [...modules].map(
    ([path, text]) => `${JSON.stringify(path)}(exports, require, __url) {\n${text}}`,
  )
  const text = `${PRELUDE}const modules = {\n${functions.join(',\n')}\n}\nmodule.exports = load(${JSON.stringify(entry)})\n`
  // A module with a name of its own for `exports` or `require` is found out here, and not by a user.
  new Script(text, { filename: packed })
  writeFileSync(resolve(root, packed), text)

  /** @param {string} path */
  function collect(path) {
    if (modules.has(path)) return
    modules.set(path, '')
    const file = resolve(root, path)
    if (!existsSync(file)) throw new Error(`${path}: does not exist, and is to be packed into ${packed}`)
    const { text, imports } = asFunction(readFileSync(file, 'utf8'), (specifier) =>
      relative(root, resolve(dirname(file), specifier)),
    )
    modules.set(path, text)
    for (const each of imports) collect(each)
  }
}

/** What a packed file begins with. Like modules, each runs once, when it is first imported. */
const PRELUDE = `// Packed from the files beside it; see scripts/pack.mjs in the source.
'use strict'
const loaded = {}
const load = (path) => {
  if (!Object.hasOwn(modules, path)) return require(path)
  const known = loaded[path]
  if (known !== undefined) return known
  const exports = (loaded[path] = {})
  modules[path](exports, load, () => require('node:url').pathToFileURL(__dirname + '/' + path).href)
  return exports
}
load.native = (url) => import(url)
load.imported = (path) => {
  const exports = load(path)
  return exports.__esModule ? exports : { ...exports, default: exports }
}
`

/**
 * @param {string} source A module of dist/.
 * @param {(specifier: string) => string} resolveRelative
 */
function asFunction(source, resolveRelative) {
  const withoutWaiting = source
    .replace(/\bawait import\((?=['"])/g, 'require.imported(')
    .replace(/\bimport\((?=[^'"])/g, 'require.native(')
    .replace(/\bimport\.meta\.url\b/g, '__url()')
    .replace(/^\/\/# sourceMappingURL=.*$/m, '')
  const { outputText } = ts.transpileModule(withoutWaiting, {
    compilerOptions: {
      module: ts.ModuleKind.CommonJS,
      target: ts.ScriptTarget.ES2022,
      esModuleInterop: true,
      removeComments: true,
    },
  })
  /** @type {string[]} */
  const imports = []
  const text = outputText.replace(
    /(\brequire(?:\.imported)?\()(["'])(\.[^"']+)\2\)/g,
    (_whole, call, _quote, specifier) => {
      const path = resolveRelative(specifier)
      imports.push(path)
      return `${call}${JSON.stringify(path)})`
    },
  )
  return { text, imports }
}
