// The questions that these tests ask the recording upstream.

import { type RecordingUpstream, recordingUpstream } from '../../support/recording-upstream.js'

export { type RecordingUpstream, recordingUpstream }

/** Waits until that many WebSockets have been opened. */
export const opened = (upstream: RecordingUpstream, count: number): Promise<RecordingUpstream> =>
  upstream.waitFor(({ upgraded }) => upgraded.length >= count, { what: `${count} open WebSockets` })

/** Waits until that many WebSockets have ended and returns the Close frames that they ended with. */
export const closeFrames = async (
  upstream: RecordingUpstream,
  count: number,
): Promise<{ code: number | null; reason: string }[]> => {
  const ended = (): RecordingUpstream['upgraded'] => upstream.upgraded.filter(({ goneAt }) => goneAt !== null)
  await upstream.waitFor(() => ended().length >= count, { what: `${count} ended WebSockets` })
  return ended().map(({ code, reason }) => ({ code, reason }))
}
