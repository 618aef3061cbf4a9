/** Arithmetic on points in time. All times are ISO 8601 in UTC with milliseconds, so their texts sort by time. */

/** The time this many minutes later. @throws RangeError when the text is not a time */
export function minutesAfter(time: string, minutes: number): string {
  const date = dateOf(time);
  date.setUTCMinutes(date.getUTCMinutes() + minutes);
  return date.toISOString();
}

/** The time this many seconds later. @throws RangeError when the text is not a time */
export function secondsAfter(time: string, seconds: number): string {
  const date = dateOf(time);
  date.setTime(date.getTime() + seconds * 1000);
  return date.toISOString();
}

/** A time with any zone, in UTC with milliseconds. @throws RangeError when the text is not a time */
export function inUtc(time: string): string {
  return dateOf(time).toISOString();
}

/** Seconds from one time to another; negative when the second is earlier. @throws RangeError when a text is not a time */
export function secondsBetween(from: string, to: string): number {
  const [start, end] = [dateOf(from).getTime(), dateOf(to).getTime()];
  return Math.round((end - start) / 1000);
}

/** Milliseconds from one time to another; negative when the second is earlier. @throws RangeError when a text is not a time */
export function millisecondsBetween(from: string, to: string): number {
  return dateOf(to).getTime() - dateOf(from).getTime();
}

/** The time this many milliseconds later. @throws RangeError when the text is not a time */
export function millisecondsAfter(time: string, milliseconds: number): string {
  const date = dateOf(time);
  date.setTime(date.getTime() + milliseconds);
  return date.toISOString();
}

/** The first day of a month at midnight, at least a year later and at most a year and a month. @throws RangeError when the text is not a time */
export function monthAfterAYear(time: string): string {
  const date = dateOf(time);
  date.setUTCFullYear(date.getUTCFullYear() + 1, date.getUTCMonth() + 1, 1);
  date.setUTCHours(0, 0, 0, 0);
  return date.toISOString();
}

/** No clock: the time is given. */
function dateOf(time: string): Date {
  // eslint-disable-next-line no-restricted-globals
  return new Date(time);
}
