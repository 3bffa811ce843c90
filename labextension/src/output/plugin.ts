import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { ISource } from '../source';
import { IFeed } from '../tokens';
import { actionsFor } from './actions';
import { MIME } from './bundle';
import { DispatchOutput } from './renderer';

/** Before widgets (0) and everything else that may stand beside it in an output. */
const RANK = -10;

/** Draws dispatches in the outputs of notebooks, in JupyterLab and in Notebook 7. */
export const outputPlugin: JupyterFrontEndPlugin<void> = {
  id: 'covalent-jupyter:output',
  description: 'The live panel of a dispatch below a cell.',
  autoStart: true,
  requires: [IRenderMimeRegistry, IFeed],
  optional: [ITranslator],
  activate: (
    app: JupyterFrontEnd,
    registry: IRenderMimeRegistry,
    feed: ISource,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('covalent_jupyter');
    registry.addFactory(
      {
        // what a notebook holds is read as data, and text in it is drawn as text
        safe: true,
        mimeTypes: [MIME],
        defaultRank: RANK,
        createRenderer: () => new DispatchOutput(feed, trans, memory => actionsFor(app, memory, feed, trans))
      },
      RANK
    );
  }
};
