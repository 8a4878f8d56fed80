// The outputs of a real supervisor: which writer and which format for stdout, stderr and the log file.
// What is not needed is not loaded: pino only for JSON, rotating-file-stream only for a log file.

import { closeSync, fstatSync, mkdirSync, openSync, type Stats } from 'node:fs'
import { dirname } from 'node:path'
import { errnoOf } from '../shared/config-file.js'
import { ForksafeError } from '../shared/errors.js'
import type { Settings } from '../shared/settings.js'
import { descriptorWriter } from './descriptor-writer.js'
import type { LogBuffer } from './log-buffer.js'
import { type LineFormat, Output, type Target } from './output.js'
import { prettyFormat } from './pretty-format.js'
import type { Redactor } from './redactor.js'
import { streamWriter } from './stream-writer.js'
import type { Writer } from './writer.js'

export type LogSettings = Pick<
  Settings,
  'name' | 'logFormat' | 'logLevel' | 'logFile' | 'logMaxSize' | 'logMaxFiles'
>

export interface Surroundings {
  buffer: LogBuffer
  redactor: Redactor
  stdout?: NodeJS.WriteStream
  stderr?: NodeJS.WriteStream
  env?: NodeJS.ProcessEnv
  /** False: only the log file, for a process whose own streams nobody reads. Default true. */
  toStreams?: boolean
}

/** @throws FORKSAFE_ERR_OPTION_INVALID: the log file is in a place where this user can never write. */
export const openOutput = async (settings: LogSettings, around: Surroundings): Promise<Output> => {
  const { buffer, redactor, stdout = process.stdout, stderr = process.stderr, env = process.env } = around
  const json = settings.logFormat === 'json' ? await loadJsonFormat(settings.name) : undefined
  const shown = (stream: NodeJS.WriteStream): LineFormat =>
    json ?? prettyFormat({ time: 'clock', hasColors: hasColors(stream, env) })
  const targets: Target[] = !(around.toStreams ?? true)
    ? []
    : isSame(stdout, stderr)
      ? [{ writer: writerFor(stdout, 'output'), format: shown(stdout), takes: ['stdout', 'stderr'] }]
      : [
          { writer: writerFor(stdout, 'stdout'), format: shown(stdout), takes: ['stdout'] },
          { writer: writerFor(stderr, 'stderr'), format: shown(stderr), takes: ['stderr'] },
        ]
  if (settings.logFile !== undefined) {
    assertWritable(settings.logFile)
    const { rotatingWriter } = await import('./rotating-writer.js')
    const { logFile: path, logMaxSize: maxSize, logMaxFiles: maxFiles } = settings
    targets.push({
      writer: rotatingWriter({ path, maxSize, maxFiles }),
      format: json ?? prettyFormat({ time: 'date', hasColors: false }),
      takes: ['stdout', 'stderr'],
    })
  }
  return new Output({ level: settings.logLevel, buffer, redactor, targets })
}

const loadJsonFormat = async (name: string): Promise<LineFormat> => {
  const { jsonFormat } = await import('./json-format.js')
  return jsonFormat(name)
}

const writerFor = (stream: NodeJS.WriteStream, name: string): Writer => {
  const fd = descriptorOf(stream)
  const stat = statOf(fd)
  const isFile = stat?.isFile() || (stat?.isCharacterDevice() && !stream.isTTY)
  return fd !== undefined && isFile ? descriptorWriter(fd, name) : streamWriter(stream, name)
}

/** One queue for what is one place (`2>&1`): two could write into each other's lines when the reader is slow. */
const isSame = (one: NodeJS.WriteStream, other: NodeJS.WriteStream): boolean => {
  const [a, b] = [statOf(descriptorOf(one)), statOf(descriptorOf(other))]
  return a !== undefined && a.ino === b?.ino && a.dev === b.dev
}

const descriptorOf = (stream: NodeJS.WriteStream): number | undefined => {
  const fd: unknown = Reflect.get(stream, 'fd')
  return typeof fd === 'number' ? fd : undefined
}

const statOf = (fd: number | undefined): Stats | undefined => {
  try {
    return fd === undefined ? undefined : fstatSync(fd)
  } catch {
    return undefined
  }
}

const hasColors = (stream: NodeJS.WriteStream, env: NodeJS.ProcessEnv): boolean =>
  stream.isTTY === true && env.TERM !== 'dumb' && !env.NO_COLOR

/** Failures that do not pass by themselves; a disk that is full does. */
const MISTAKES = ['EACCES', 'EPERM', 'ENOTDIR', 'EISDIR', 'EROFS', 'ELOOP', 'ENAMETOOLONG', 'EEXIST']

const assertWritable = (path: string): void => {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    closeSync(openSync(path, 'a', 0o600))
  } catch (error) {
    if (!MISTAKES.includes(errnoOf(error))) return
    throw new ForksafeError(
      'FORKSAFE_ERR_OPTION_INVALID',
      `logFile: ${JSON.stringify(path)} cannot be written (${errnoOf(error)}); name a file in a folder that this user may write to`,
      { details: { field: 'logFile', value: path }, cause: error },
    )
  }
}
