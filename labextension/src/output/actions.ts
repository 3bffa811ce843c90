import { JupyterFrontEnd } from '@jupyterlab/application';
import { Clipboard, Notification } from '@jupyterlab/apputils';
import { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { CommandIDs } from '../commands';
import { ISource } from '../source';
import { Actions, Trans } from '../views/context';
import { Memory } from './memory';

/** What can be done in this front end: its commands, where it has them; cancel and redispatch go to the service itself. */
export function actionsFor(app: JupyterFrontEnd, memory: Memory, source: ISource, trans: Trans): Actions {
  const { commands } = app;
  const run = (id: string, args: ReadonlyPartialJSONObject) => commands.execute(id, args);
  const has = (id: string) => commands.hasCommand(id);
  return {
    cancel: async (id, nodes) => {
      const body = JSON.stringify({ nodes: nodes ?? null });
      await source.request(`dispatches/${id}/cancel`, {}, { method: 'POST', body });
    },
    redispatch: (id, reuse) => memory.redispatch(id, reuse),
    copy: text => Clipboard.copyToSystem(text),
    complain: message => void Notification.error(trans.__('That did not work: %1', message)),
    ...(has(CommandIDs.openDispatch) && {
      open: (dispatch_id: string, node?: number) =>
        void run(CommandIDs.openDispatch, node === undefined ? { dispatch_id } : { dispatch_id, node })
    }),
    ...(has(CommandIDs.insertCell) && {
      insertCell: async (code: string) => {
        await run(CommandIDs.insertCell, { code });
      }
    })
  };
}
