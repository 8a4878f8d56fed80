// A seeded moment of a plan comes by time: the one thing in a campaign that waits for time and not for an event.

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
