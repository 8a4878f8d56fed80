// What pm2 tells the processes that it starts, by their environment. What a supervisor makes of it is src/manager/pm2.ts.

/** pm2's default where neither its file nor its own environment names another, in ms. */
const DEFAULT_KILL_TIMEOUT = 1_600

export const isUnderPm2 = (environment: NodeJS.ProcessEnv = process.env): boolean =>
  environment.pm_id !== undefined

/** How long after its stop signal pm2 kills what is left, in ms. */
export const killTimeoutOfPm2 = (environment: NodeJS.ProcessEnv = process.env): number => {
  const ofApp = Number(environment.kill_timeout)
  if (ofApp > 0) return ofApp
  // Its own default can be changed where its daemon is started. That may have been elsewhere: a longer one is not relied on.
  const ofDaemon = Number(environment.PM2_KILL_TIMEOUT)
  return ofDaemon > 0 ? Math.min(ofDaemon, DEFAULT_KILL_TIMEOUT) : DEFAULT_KILL_TIMEOUT
}
