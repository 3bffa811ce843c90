import { Notification } from '@jupyterlab/apputils';
import { Signal } from '@lumino/signaling';
import { expect, it } from 'vitest';

import { goesWith } from '../toasts';
import { Changes } from '../types';
import { row } from './server';

it('goes with the last of its dispatches, and no other', () => {
  const overheard = new Signal<object, Pick<Changes, 'deleted' | 'dispatches'>>({});
  const other = Notification.info('another');
  const told = Notification.info('both are cancelled');
  goesWith(['a', 'b'], overheard, told);
  overheard.emit({ deleted: ['a', 'x'], dispatches: [row('c', { redispatch_of: 'b' })] });
  expect(Notification.manager.has(told)).toBe(true);
  overheard.emit({ deleted: ['b'], dispatches: [] });
  expect(Notification.manager.has(told)).toBe(false);
  expect(Notification.manager.has(other)).toBe(true);
  Notification.dismiss(other);
});

it('that offers to continue goes when that was done otherwise', () => {
  const overheard = new Signal<object, Pick<Changes, 'deleted' | 'dispatches'>>({});
  const told = Notification.info('a is cancelled');
  goesWith(['a'], overheard, told, true);
  overheard.emit({ deleted: [], dispatches: [row('b', { redispatch_of: null }), row('c', { redispatch_of: 'a' })] });
  expect(Notification.manager.has(told)).toBe(false);
});
