import { Notification } from '@jupyterlab/apputils';
import { Signal } from '@lumino/signaling';
import { expect, it } from 'vitest';

import { goesWith } from '../toasts';

it('goes with the last of its dispatches, and no other', () => {
  const overheard = new Signal<object, { deleted: string[] }>({});
  const other = Notification.info('another');
  const told = Notification.info('both are cancelled');
  goesWith(['a', 'b'], overheard, told);
  overheard.emit({ deleted: ['a', 'x'] });
  expect(Notification.manager.has(told)).toBe(true);
  overheard.emit({ deleted: ['b'] });
  expect(Notification.manager.has(told)).toBe(false);
  expect(Notification.manager.has(other)).toBe(true);
  Notification.dismiss(other);
});
