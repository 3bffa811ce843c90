import * as React from 'react';

import { ISource } from '../source';
import { Trans } from '../states';

export type { Trans };

/** What people may do with a dispatch. The place that shows a view gives what it can; what is absent has no button. */
export interface Actions {
  /** Stop a dispatch, or (`nodes`) some of its electrons. */
  cancel?(dispatch: string, nodes?: number[]): Promise<void> | void;
  redispatch?(dispatch: string, reuse: 'none' | 'changed' | 'failed'): Promise<void> | void;
  /** Open the page of a dispatch. */
  open?(dispatch: string, node?: number, tab?: string): void;
  /** Open the comparison of these dispatches. */
  compare?(dispatches: string[]): void;
  /** Put a text on the clipboard. */
  copy?(text: string): Promise<void> | void;
  /** Insert a cell with this code into the active notebook. */
  insertCell?(code: string): Promise<void> | void;
  /** Hand a file to the user. */
  download?(name: string, text: string): void;
  /** HTML that can be shown without danger. Where it is absent no HTML is shown. */
  sanitize?(html: string): string;
  rename?(dispatch: string): Promise<void> | void;
  tag?(dispatch: string): Promise<void> | void;
  note?(dispatch: string): Promise<void> | void;
  remove?(dispatch: string): Promise<void> | void;
  /** The address of a dispatch's page on this server. */
  link?(dispatch: string, node?: number): string;
  /** Start the service, where it was stopped. */
  startService?(): Promise<void> | void;
  /** Tell of something that went wrong. */
  complain?(message: string): void;
}

export interface Surroundings {
  trans: Trans;
  actions: Actions;
  source: ISource;
}

/** Words as they are, for places without translations. */
export const plainTrans: Trans = {
  __: filled,
  _n: (one, several, count, ...args) => filled(count === 1 ? one : several, count, ...args)
};

function filled(message: string, ...args: any[]): string {
  return message.replace(/%(\d)/g, (_, i) => String(args[Number(i) - 1] ?? ''));
}

const Context = React.createContext<Surroundings | null>(null);

/** Gives the views below it their words, their actions and their source of data. */
export const SurroundingsProvider = Context.Provider;

export function useSurroundings(): Surroundings {
  const found = React.useContext(Context);
  if (!found) {
    throw new Error('a view of Covalent stands outside of a SurroundingsProvider');
  }
  return found;
}

export function useTrans(): Trans {
  return useSurroundings().trans;
}

export function useActions(): Actions {
  return useSurroundings().actions;
}
