// Figures as people read them, narrow enough for a column.

/** `12s`, `4m 5s`, `3h 20m`, `2d 3h`. */
export const formatUptime = (ms: number): string => {
  const seconds = Math.max(0, Math.floor(ms / 1_000))
  const minutes = Math.floor(seconds / 60)
  const hours = Math.floor(minutes / 60)
  const days = Math.floor(hours / 24)
  if (days > 0) return `${days}d ${hours % 24}h`
  if (hours > 0) return `${hours}h ${minutes % 60}m`
  if (minutes > 0) return `${minutes}m ${seconds % 60}s`
  return `${seconds}s`
}

/** `0.21 s`. */
export const formatSeconds = (ms: number): string => `${(ms / 1_000).toFixed(ms < 10_000 ? 2 : 1)} s`

const MIB = 1024 * 1024

/** `52.1 MB`, `1.25 GB`; units of 1024. */
export const formatMemory = (bytes: number | null): string => {
  if (bytes === null) return '-'
  return bytes < 1024 * MIB ? `${(bytes / MIB).toFixed(1)} MB` : `${(bytes / (1024 * MIB)).toFixed(2)} GB`
}

/** `0.1%`. */
export const formatPercent = (percent: number | null): string =>
  percent === null ? '-' : `${percent.toFixed(1)}%`
