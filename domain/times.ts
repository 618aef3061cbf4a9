/** Arithmetic on points in time, which are ISO 8601 in UTC with milliseconds throughout: as text they sort by time. */

/** The time so many minutes later. @throws RangeError when the text is no time */
export function minutesAfter(time: string, minutes: number): string {
  // No clock: the time is given.
  // eslint-disable-next-line no-restricted-globals
  const date = new Date(time);
  date.setUTCMinutes(date.getUTCMinutes() + minutes);
  return date.toISOString();
}
