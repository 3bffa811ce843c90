import { Notification } from '@jupyterlab/apputils';
import { ISignal } from '@lumino/signaling';

import { Changes } from './types';

/** Have a notification go when the last of the dispatches that it is about was deleted: what it offers would lead nowhere. */
export function goesWith(
  dispatches: readonly string[],
  overheard: ISignal<unknown, Pick<Changes, 'deleted'>>,
  notification: string
): void {
  const left = new Set(dispatches);
  const onChanges = (_: unknown, { deleted }: Pick<Changes, 'deleted'>) => {
    deleted.forEach(id => left.delete(id));
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
