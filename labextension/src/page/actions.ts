import { Clipboard, InputDialog, ISanitizer, Notification } from '@jupyterlab/apputils';
import { PageConfig, URLExt } from '@jupyterlab/coreutils';
import { TranslationBundle } from '@jupyterlab/translation';
import { CommandRegistry } from '@lumino/commands';
import { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { CommandIDs } from '../commands';
import { ISource } from '../source';
import { DispatchRow } from '../types';
import { Actions } from '../views/context';

/** What the views may do in JupyterLab: its commands, clipboard, sanitizer and notifications. */
export function actionsOf(
  commands: CommandRegistry,
  source: ISource,
  sanitizer: ISanitizer,
  trans: TranslationBundle
): Actions {
  /** A command as an action; none where nobody has registered it. */
  const run = (id: string, args: ReadonlyPartialJSONObject) => commands.execute(id, args) as Promise<void>;
  const ifThere = <T>(id: string, action: T): T | undefined => (commands.hasCommand(id) ? action : undefined);
  return {
    cancel: async (dispatch_id, nodes) => {
      if (nodes) {
        await source.request(`dispatches/${dispatch_id}/cancel`, {}, { method: 'POST', body: JSON.stringify({ nodes }) });
      } else {
        await run(CommandIDs.cancel, { dispatch_id });
      }
    },
    // the new run is what one wants to see next
    redispatch: ifThere(CommandIDs.redispatch, async (dispatch_id, reuse) => {
      const made: string[] | undefined = await commands.execute(CommandIDs.redispatch, { dispatch_id, reuse });
      made?.forEach(made_id => void run(CommandIDs.openDispatch, { dispatch_id: made_id }));
    }),
    open: (dispatch_id, node, tab) => void run(CommandIDs.openDispatch, { dispatch_id, node, tab }),
    compare: ids => void run(CommandIDs.compare, { dispatch_ids: ids }),
    copy: text => Clipboard.copyToSystem(text),
    insertCell: ifThere(CommandIDs.insertCell, code => run(CommandIDs.insertCell, { code })),
    download: save,
    sanitize: html => sanitizer.sanitize(html),
    rename: async dispatch_id => {
      const path = `dispatches/${dispatch_id}`;
      const row = await source.request<DispatchRow>(path);
      const { value } = await InputDialog.getText({
        title: trans.__('Rename the dispatch'),
        label: trans.__('Name (empty: the name of its lattice)'),
        text: row.label || row.name,
        okLabel: trans.__('Rename')
      });
      if (value !== null) {
        const label = value.trim() === row.name ? '' : value.trim();
        await source.request(path, {}, { method: 'PATCH', body: JSON.stringify({ label }) });
      }
    },
    tag: ifThere(CommandIDs.tag, dispatch_id => run(CommandIDs.tag, { dispatch_id })),
    note: ifThere(CommandIDs.note, dispatch_id => run(CommandIDs.note, { dispatch_id })),
    remove: ifThere(CommandIDs.deleteDispatch, dispatch_id => run(CommandIDs.deleteDispatch, { dispatch_id })),
    link: linkTo,
    startService: ifThere(CommandIDs.startService, () => run(CommandIDs.startService, {})),
    complain: message => void Notification.error(trans.__('Covalent: %1', message))
  };
}

/** The address that opens a dispatch's page on this server, for whoever may log in there. */
export function linkTo(dispatch: string, node?: number): string {
  const query = new URLSearchParams({ covalent: dispatch, ...(node === undefined ? {} : { node: String(node) }) });
  const base = new URL(PageConfig.getBaseUrl(), window.location.href).href;
  return `${URLExt.join(base, 'lab')}?${query}`;
}

function save(name: string, text: string): void {
  const address = URL.createObjectURL(new Blob([text], { type: 'text/plain' }));
  const link = document.createElement('a');
  link.href = address;
  link.download = name.replace(/[^\w.-]+/g, '_');
  link.click();
  URL.revokeObjectURL(address);
}
