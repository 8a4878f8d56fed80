// What the kernel says of a process (Linux): its memory, its descriptors, whether it is there.
import { readdirSync, readFileSync } from 'node:fs'

/** Bytes; what Node runs on has no other. */
const PAGE = 4_096

/** MiB. @typedef {{ rss: number, rssAnon: number, pss: number }} Memory */

/** @param {number} pid @returns {Memory} */
export function memoryOf(pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const shares = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
  return {
    rss: mebibytes(status, 'VmRSS'),
    rssAnon: mebibytes(status, 'RssAnon'),
    pss: mebibytes(shares, 'Pss'),
  }
}

/** @param {string} text @param {string} field */
function mebibytes(text, field) {
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]) / 1024
}

/** MiB, at little cost. @param {number} pid */
export const residentOf = (pid) =>
  (Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1]) * PAGE) / 2 ** 20

/** @param {number} pid */
export const openDescriptors = (pid) => readdirSync(`/proc/${pid}/fd`).length

/** Gone, or a zombie: it holds nothing any more. @param {number} pid */
export function isGone(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return /^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2))
  } catch {
    return true
  }
}

/** ms of CPU that a process has used, all its threads together. @param {number} pid */
export function cpuOf(pid) {
  const folder = `/proc/${pid}/task`
  const nanoseconds = readdirSync(folder).map((thread) =>
    Number(readFileSync(`${folder}/${thread}/schedstat`, 'latin1').split(' ')[0]),
  )
  return nanoseconds.reduce((sum, each) => sum + each, 0) / 1e6
}

/** @param {Iterable<number>} pids */
export const cpuOfAll = (pids) => [...pids].reduce((sum, pid) => sum + cpuOf(pid), 0)
