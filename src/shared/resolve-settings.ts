// From flags, environment, file and defaults to settings: which source wins, what is unknown, what is relative to what.
// Which options there are and how a value is read: src/shared/option-table.ts.

import { type Stats, statSync } from 'node:fs'
import { dirname, relative, resolve } from 'node:path'
import { errnoOf, findConfigFiles, readConfigFile } from './config-file.js'
import { defaultName } from './default-name.js'
import { didYouMean } from './did-you-mean.js'
import { readEnvFile } from './env-file.js'
import { ForksafeError } from './errors.js'
import { checkLimits, defaultHangTimeout } from './limits.js'
import {
  DEFAULTS,
  flagOf,
  isOptionKey,
  OPTION_KEYS,
  OPTIONS,
  type OptionKey,
  type OptionValues,
  variableOf,
} from './option-table.js'
import { invalidOption, isPrototypeKey } from './option-values.js'
import { readRelay } from './read-relay.js'
import type { RawRelay, RelayContext } from './relay-context.js'
import { RELAY_NAME, RELAY_SCRIPT } from './relay-role.js'
import type { RelaySettings } from './relay-settings.js'
import { checkScript } from './script-check.js'
import type { Settings } from './settings.js'

export interface SettingsSources {
  /** Raw flags by option key, with `script` for the operand and `args` for what stood after `--`. */
  flags?: Readonly<Record<string, unknown>>
  /** Options of a call from a program; they count before everything else. */
  options?: Readonly<Record<string, unknown>>
  env: NodeJS.ProcessEnv
  /** Absolute; what relative paths in flags, environment and call are relative to. */
  cwd: string
  /** False: no configuration file is searched for; one that is named is read all the same. Default true. */
  searchConfig?: boolean
  /** A relay that a command line describes, and how it names what stands in it. It counts before every other. */
  relay?: { raw: RawRelay; field: RelayContext['field'] } | undefined
  /** The name that already runs, for a rolling restart: it stays. */
  runningName?: string
}

export interface ResolvedSettings {
  settings: Settings
  /** What is probably a mistake and changes nothing, one line each. */
  warnings: string[]
  /** Absolute path, null when there is none. */
  configFile: string | null
}

/**
 * Reads everything anew: environment, configuration text, script. To be called for each rolling restart.
 *
 * @throws FORKSAFE_ERR_OPTION_INVALID, _OPTION_UNKNOWN, _CONFIG_UNREADABLE, _SCRIPT_UNREADABLE: one line each.
 */
export const resolveSettings = async (sources: SettingsSources): Promise<ResolvedSettings> => {
  const { cwd, env } = sources
  const above = [
    callLayer(sources.options ?? {}, cwd),
    flagLayer(sources.flags ?? {}, cwd),
    environmentLayer(env, cwd),
  ]
  const warnings = unknownVariables(env)
  const configFile = pathOfConfig(above, sources, warnings)
  const layers = configFile === null ? above : [...above, await fileLayer(configFile, cwd)]
  const settings = await settingsOf(layers, sources)
  for (const name of settings.secrets) {
    if ((settings.env[name] ?? env[name] ?? process.env[name]) !== undefined) continue
    warnings.push(`secrets: ${name} is set nowhere, so there is no value to keep out of the log`)
  }
  return { settings, warnings, configFile }
}

/** One source of options. */
interface Layer {
  form: 'text' | 'value'
  values: Readonly<Record<string, unknown>>
  /** What its relative paths are relative to. */
  folder: string
  /** The option as its author wrote it. */
  field: (key: OptionKey) => string
}

const callLayer = (values: Readonly<Record<string, unknown>>, folder: string): Layer => {
  for (const key of Object.keys(values))
    if (!isOptionKey(key)) throw unknownKey(key, 'supervise()', isOptionKey)
  return { form: 'value', values, folder, field: (key) => `${key} in supervise()` }
}

const flagLayer = (values: Readonly<Record<string, unknown>>, folder: string): Layer => ({
  form: 'text',
  values,
  folder,
  field: (key) => (OPTIONS[key].placeholder === null ? key : flagOf(key)),
})

/** An empty variable counts as one that is not set: that is how compose files and CI leave out a value. */
const environmentLayer = (env: NodeJS.ProcessEnv, folder: string): Layer => {
  const set = OPTION_KEYS.filter((key) => OPTIONS[key].noVariable === undefined && env[variableOf(key)])
  const values = Object.fromEntries(set.map((key) => [key, env[variableOf(key)]]))
  return { form: 'text', values, folder, field: variableOf }
}

const fileLayer = async (path: string, cwd: string): Promise<Layer> => {
  const shown = shownPath(path, cwd)
  const values = await readConfigFile(path, shown)
  const isFileKey = (key: string): boolean => isOptionKey(key) && OPTIONS[key].noFile === undefined
  for (const key of Object.keys(values)) if (!isFileKey(key)) throw unknownKey(key, shown, isFileKey)
  return { form: 'value', values, folder: dirname(path), field: (key) => `${key} in ${shown}` }
}

const shownPath = (path: string, cwd: string): string => {
  const below = relative(cwd, path)
  return below === '' || below.startsWith('..') ? path : below
}

/** Ours, but no option: they are documented beside the options. */
const OTHER_VARIABLES = [
  'FORKSAFE_HOME',
  'FORKSAFE_AUDIT_SOURCE',
  'FORKSAFE_WORKER',
  'FORKSAFE_DEBUG',
  'FORKSAFE_DETACHED',
  'FORKSAFE_NO_KERNEL_LOCK',
  'FORKSAFE_RELAY',
  'FORKSAFE_RELAY_TOKEN',
]

const unknownVariables = (env: NodeJS.ProcessEnv): string[] => {
  const options = OPTION_KEYS.filter((key) => OPTIONS[key].noVariable === undefined).map(variableOf)
  const known = [...options, ...OTHER_VARIABLES]
  return Object.keys(env)
    .filter(
      (name) => name.startsWith('FORKSAFE_') && !name.startsWith('FORKSAFE_TEST_') && !known.includes(name),
    )
    .map((name) => {
      const near = didYouMean(name, known)
      return `${name}: is not a variable of ours and is ignored${near === undefined ? '' : `; did you mean ${near}?`}`
    })
}

const unknownKey = (key: string, where: string, isKnown: (key: string) => boolean): ForksafeError => {
  if (isPrototypeKey(key)) return unknownOption(key, where, 'is not allowed as a key; remove it')
  const known = OPTION_KEYS.filter(isKnown)
  const bare = key.toLowerCase().replace(/[-_]/g, '')
  const alias = known.find((option) =>
    OPTIONS[option].elsewhere?.some((other) => other.toLowerCase() === bare),
  )
  const near = alias ?? didYouMean(key, known)
  return unknownOption(
    key,
    where,
    near === undefined
      ? `is not an option; there are ${known.join(', ')}`
      : `is not an option; did you mean ${near}?`,
  )
}

const unknownOption = (key: string, where: string, why: string): ForksafeError =>
  new ForksafeError('FORKSAFE_ERR_OPTION_UNKNOWN', `${JSON.stringify(key)} in ${where}: ${why}`, {
    details: { field: key, where },
  })

interface Given<Value> {
  value: Value
  layer: Layer
  field: string
}

/** The value of the first layer that has one; the same option in lower layers is not looked at. */
const given = <Key extends OptionKey>(
  layers: readonly Layer[],
  key: Key,
): Given<OptionValues[Key]> | undefined => {
  for (const layer of layers) {
    const raw = Object.hasOwn(layer.values, key) ? layer.values[key] : undefined
    if (raw === undefined) continue
    const field = layer.field(key)
    return { value: OPTIONS[key].read(field, raw, layer.form), layer, field }
  }
  return undefined
}

const pathOfConfig = (
  layers: readonly Layer[],
  { cwd, searchConfig = true }: SettingsSources,
  warnings: string[],
): string | null => {
  const named = given(layers, 'config')
  if (named !== undefined) return resolve(named.layer.folder, named.value)
  if (!searchConfig) return null
  const [first, ...others] = findConfigFiles(cwd)
  if (first !== undefined && others.length > 0) {
    const ignored = others.map((path) => shownPath(path, cwd)).join(', ')
    warnings.push(`${shownPath(first, cwd)} is used and ${ignored} ignored; name one with --config`)
  }
  return first ?? null
}

const settingsOf = async (layers: readonly Layer[], sources: SettingsSources): Promise<Settings> => {
  const value = <Key extends keyof typeof DEFAULTS>(key: Key) =>
    given(layers, key)?.value ?? structuredClone(DEFAULTS[key])
  const beforeFork = given(layers, 'beforeFork')?.value
  const afterFork = given(layers, 'afterFork')?.value
  const health = given(layers, 'health')?.value
  const logFile = logFileOf(layers)
  const relay = rawRelayOf(layers, sources)
  const script = scriptOf(layers, relay !== undefined)
  const name = nameOf(layers, script.path, sources.runningName)
  const workers = value('workers')
  const isAlone = script.path === RELAY_SCRIPT
  const env = variables(layers, sources.cwd)
  const nodeArgs = value('nodeArgs')
  const nodeOptions = env.NODE_OPTIONS ?? sources.env.NODE_OPTIONS
  const settings: Settings = {
    script: script.path,
    name,
    args: value('args'),
    workers,
    readiness: value('readiness'),
    readyTimeout: value('readyTimeout'),
    minUptime: value('minUptime'),
    restart: value('restart'),
    stopTimeout: value('stopTimeout'),
    shutdownDelay: value('shutdownDelay'),
    onParentExit: value('onParentExit'),
    maxSurge: value('maxSurge'),
    connectRate: value('connectRate'),
    maxMemory: value('maxMemory'),
    maxMemoryHard: value('maxMemoryHard'),
    maxCpu: value('maxCpu'),
    maxCpuPeriod: value('maxCpuPeriod'),
    maxUptime: value('maxUptime'),
    hangTimeout: given(layers, 'hangTimeout')?.value ?? defaultHangTimeout(nodeArgs, nodeOptions),
    requestGuard: value('requestGuard'),
    forkWindowTimeout: value('forkWindowTimeout'),
    connectionBudget: value('connectionBudget'),
    auditInterval: value('auditInterval'),
    forkGuard: value('forkGuard'),
    cwd: workingFolder(layers, sources.cwd),
    env,
    nodeArgs,
    logFormat: value('logFormat'),
    logLevel: value('logLevel'),
    logMaxSize: value('logMaxSize'),
    logMaxFiles: value('logMaxFiles'),
    secrets: secretNames(layers),
    ...(health === undefined ? {} : { health }),
    ...(relay === undefined ? {} : { relay: relay(name, isAlone ? workers : undefined) }),
    ...(logFile === undefined ? {} : { logFile }),
    ...(beforeFork === undefined ? {} : { beforeFork }),
    ...(afterFork === undefined ? {} : { afterFork }),
  }
  checkLimits(settings)
  await checkScript(settings.script, { field: script.field, nodeArgs, nodeOptions })
  return settings
}

/** A function that reads it when the name is known, or undefined where there is none. */
const rawRelayOf = (
  layers: readonly Layer[],
  { relay, cwd, env }: SettingsSources,
): ((name: string, workers: number | undefined) => RelaySettings) | undefined => {
  if (relay !== undefined)
    return (name, workers) =>
      readRelay(relay.raw, { field: relay.field, folder: cwd, name, env, ...(workers && { workers }) })
  const found = given(layers, 'relay')
  if (found === undefined) return undefined
  const { value: raw, layer, field } = found
  const fieldOf = (path: string): string => (path === '' ? field : field.replace('relay', `relay.${path}`))
  return (name, workers) =>
    readRelay(raw, { field: fieldOf, folder: layer.folder, name, env, ...(workers && { workers }) })
}

/** Without a script a relay is all that runs. */
const scriptOf = (layers: readonly Layer[], hasRelay: boolean): { path: string; field: string } => {
  const script = given(layers, 'script')
  if (script === undefined && hasRelay) return { path: RELAY_SCRIPT, field: 'relay' }
  if (script === undefined) {
    throw new ForksafeError(
      'FORKSAFE_ERR_OPTION_INVALID',
      `script: is missing; write 'supervisor start app.js', or script: 'app.js' in supervisor.config.js`,
      { details: { field: 'script' } },
    )
  }
  return { path: resolve(script.layer.folder, script.value), field: script.field }
}

const nameOf = (layers: readonly Layer[], script: string, runningName: string | undefined): string => {
  const name = given(layers, 'name')
  if (runningName === undefined)
    return name?.value ?? (script === RELAY_SCRIPT ? RELAY_NAME : defaultName(script))
  if (name !== undefined && name.value !== runningName) {
    throw invalidOption(
      name.field,
      name.value,
      `differs from ${runningName}, which runs; stop and start to rename it`,
    )
  }
  return runningName
}

const workingFolder = (layers: readonly Layer[], cwd: string): string => {
  const folder = given(layers, 'cwd')
  if (folder === undefined) return cwd
  const path = resolve(folder.layer.folder, folder.value)
  try {
    if (statSync(path).isDirectory()) return path
  } catch (error) {
    throw invalidOption(folder.field, folder.value, `cannot be used (${errnoOf(error)}); name a folder`)
  }
  throw invalidOption(folder.field, folder.value, 'is not a folder')
}

/** Absolute. What is there already must be a file: rotation renames it, and a pipe or device would block. */
const logFileOf = (layers: readonly Layer[]): string | undefined => {
  const file = given(layers, 'logFile')
  if (file === undefined) return undefined
  const path = resolve(file.layer.folder, file.value)
  let stat: Stats | undefined
  try {
    stat = statSync(path, { throwIfNoEntry: false })
  } catch (error) {
    throw invalidOption(file.field, file.value, `cannot be used (${errnoOf(error)}); name a file`)
  }
  if (stat === undefined || stat.isFile()) return path
  const what = stat.isDirectory() ? 'a folder' : 'no regular file'
  throw invalidOption(file.field, file.value, `is ${what}; name a file`)
}

/** Of all sources together: a flag must not reveal what the file keeps secret. */
const secretNames = (layers: readonly Layer[]): string[] => [
  ...new Set(layers.flatMap((layer) => given([layer], 'secrets')?.value ?? [])),
]

/** By variable: the flag's value for one does not hide the file's value for another. Env files come below all of them. */
const variables = (layers: readonly Layer[], cwd: string): Record<string, string> => {
  const files = given(layers, 'envFile')
  const fromFiles = (files?.value ?? []).map((file) => {
    const path = resolve(files?.layer.folder ?? cwd, file)
    return readEnvFile(path, files?.field ?? 'envFile', shownPath(path, cwd))
  })
  const lowestFirst = layers.toReversed().map((layer) => given([layer], 'env')?.value ?? {})
  return Object.fromEntries([...fromFiles, ...lowestFirst].flatMap((values) => Object.entries(values)))
}
