/** Arithmetic on points in time. All times are ISO 8601 in UTC with milliseconds, so their texts sort by time. */

/** The time this many minutes later. @throws RangeError when the text is not a time */
export function minutesAfter(time: string, minutes: number): string {
  // No clock: the time is given.
  // eslint-disable-next-line no-restricted-globals
  const date = new Date(time);
  date.setUTCMinutes(date.getUTCMinutes() + minutes);
  return date.toISOString();
}

/** Seconds from one time to another; negative when the second is earlier. @throws RangeError when a text is not a time */
export function secondsBetween(from: string, to: string): number {
  // No clock: the times are given.
  // eslint-disable-next-line no-restricted-globals
  const [start, end] = [new Date(from).getTime(), new Date(to).getTime()];
  return Math.round((end - start) / 1000);
}

/** The first day of a month at midnight, at least a year later and at most a year and a month. @throws RangeError when the text is not a time */
export function monthAfterAYear(time: string): string {
  // No clock: the time is given.
  // eslint-disable-next-line no-restricted-globals
  const date = new Date(time);
  date.setUTCFullYear(date.getUTCFullYear() + 1, date.getUTCMonth() + 1, 1);
  date.setUTCHours(0, 0, 0, 0);
  return date.toISOString();
}
