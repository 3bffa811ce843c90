import { Notification } from '@jupyterlab/apputils';
import { ISignal } from '@lumino/signaling';

import { Changes } from './types';

type News = Pick<Changes, 'deleted' | 'dispatches'>;

/**
 * Have a notification go when the last of the dispatches that it is about was deleted: what it offers would lead nowhere. One that
 * `offers` to continue them goes also when they were continued otherwise.
 */
export function goesWith(
  dispatches: readonly string[],
  overheard: ISignal<unknown, News>,
  notification: string,
  offers = false
): void {
  const left = new Set(dispatches);
  const onChanges = (_: unknown, news: News) => {
    news.deleted.forEach(id => left.delete(id));
    if (offers) {
      news.dispatches.forEach(row => row.redispatch_of && left.delete(row.redispatch_of));
    }
    if (left.size === 0) {
      Notification.dismiss(notification);
    }
  };
  const onNotifications = (_: unknown, change: Notification.IChange) => {
    if (change.type === 'removed' && change.notification.id === notification) {
      overheard.disconnect(onChanges);
      Notification.manager.changed.disconnect(onNotifications);
    }
  };
  overheard.connect(onChanges);
  Notification.manager.changed.connect(onNotifications);
}
