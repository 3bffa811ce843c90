import * as React from 'react';

import { DispatchModel } from '../dispatch';
import { ISource } from '../source';
import { useSurroundings } from './context';
import { Attempt } from './lanes';

const PAGE = 5000;
const MOST = 50_000;
/** Ms between two looks at the attempts while they change; of many, rarer. */
const PACE = 2000;
const PACE_MANY = 8000;

/** All attempts of a dispatch, read again while they change; null until they are there. */
export function useAttempts(model: DispatchModel): { attempts: Attempt[] | null; problem: string } {
  const { source } = useSurroundings();
  const [state, setState] = React.useState<{ attempts: Attempt[] | null; problem: string }>({ attempts: null, problem: '' });
  const asked = React.useRef({ revision: -1, at: 0, busy: false });
  const [, again] = React.useReducer((n: number) => n + 1, 0);
  React.useEffect(() => {
    let wanted = true;
    const { current } = asked;
    if (current.busy || current.revision === model.revision || model.presence !== 'here') {
      return;
    }
    const pace = model.total > 2000 ? PACE_MANY : PACE;
    const timer = window.setTimeout(
      () => {
        current.busy = true;
        current.revision = model.revision;
        readAll(model, source)
          .then(
            attempts => wanted && setState({ attempts, problem: '' }),
            error => wanted && setState(known => ({ ...known, problem: String(error?.message ?? error) }))
          )
          .finally(() => {
            current.busy = false;
            current.at = Date.now();
            again();
          });
      },
      Math.max(0, current.at + pace - Date.now())
    );
    return () => {
      if (!current.busy) {
        window.clearTimeout(timer);
      }
    };
  });
  return state;
}

async function readAll(model: DispatchModel, source: ISource): Promise<Attempt[]> {
  const all: Attempt[] = [];
  for (;;) {
    const page = await source.request<{ attempts: Attempt[] }>(`dispatches/${model.id}/attempts`, {
      offset: all.length,
      limit: PAGE
    });
    all.push(...page.attempts);
    if (page.attempts.length < PAGE || all.length >= MOST) {
      return all;
    }
  }
}
