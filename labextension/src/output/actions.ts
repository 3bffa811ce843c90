import { JupyterFrontEnd } from '@jupyterlab/application';
import { Sanitizer } from '@jupyterlab/apputils';
import { TranslationBundle } from '@jupyterlab/translation';

import { actionsOf } from '../page/actions';
import { ISource } from '../source';
import { Actions } from '../views/context';
import { Memory } from './memory';
import { sanitize } from './sanitize';

/** What can be done from an output: what the page can; cancel goes to the service itself, a new run is shown below. */
export function actionsFor(app: JupyterFrontEnd, memory: Memory, source: ISource, trans: TranslationBundle): Actions {
  return {
    ...actionsOf(app.commands, source, new Sanitizer(), trans),
    cancel: async (id, nodes) => {
      const body = JSON.stringify({ nodes: nodes ?? null });
      await source.request(`dispatches/${id}/cancel`, {}, { method: 'POST', body });
    },
    redispatch: (id, reuse) => memory.redispatch(id, reuse),
    sanitize
  };
}
