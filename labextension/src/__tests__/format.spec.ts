import { expect, it } from 'vitest';

import { daysAgo, elapsed, firstLine, idLength, reason } from '../format';
import { row } from './server';

it('writes elapsed times', () => {
  expect([0, 7.9, 190, 3700, -3].map(elapsed)).toEqual(['0:00', '0:07', '3:10', '1:01:40', '0:00']);
});

it('counts days by the calendar, not by 24 hours', () => {
  const late = new Date(2026, 2, 28, 23, 30).getTime() / 1000;
  const early = new Date(2026, 2, 29, 0, 30).getTime() / 1000;
  expect([daysAgo(late, early), daysAgo(late, late)]).toEqual([1, 0]);
});

it('shortens ids as far as they differ, to four at least', () => {
  expect(idLength([row('aaaabbbb'), row('cccc1234')])).toBe(4);
  expect(idLength([row('aaaabbbb'), row('aaaabbcc'), row('aaaabbcc')])).toBe(7);
  expect(idLength([])).toBe(4);
});

it('finds the first line that says something', () => {
  expect(firstLine('\n  \n  ValueError: x \nmore')).toBe('ValueError: x');
  expect(firstLine('')).toBe('');
});

it('says the kind of an error first', () => {
  expect(reason('split (3): ValueError: bad: worse\nbest (4): KeyError: 1')).toBe('ValueError in split: bad: worse');
  expect(reason('split (3): StopIteration:')).toBe('StopIteration in split');
  expect(reason('the disk is full')).toBe('the disk is full');
});
