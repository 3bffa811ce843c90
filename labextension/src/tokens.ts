import { Token } from '@lumino/coreutils';

import { ISource } from './source';

/** The page's one connection to the service: every part of JupyterLab that shows dispatches asks for it. */
export const IFeed = new Token<ISource>(
  'covalent-jupyter:IFeed',
  'The connection to the Covalent service: REST calls, and changes of dispatches as they happen.'
);
