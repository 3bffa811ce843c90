import * as React from 'react';

import { DispatchModel } from '../dispatch';
import { isEnded } from '../states';
import { useTrans } from './context';

/** How long nothing has to run before the service is asked why; then the pauses grow, in ms. */
const FIRST = 1000;
const LONGEST = 8000;

/** Why nothing of a dispatch runs that has not ended: sentences of the service; none while something runs. */
export function useWaiting(model: DispatchModel): readonly string[] {
  const { row } = model;
  const idle = row !== null && !isEnded(row.status) && (row.counts.running ?? 0) === 0;
  const [reasons, setReasons] = React.useState<readonly string[]>([]);
  React.useEffect(() => {
    if (!idle) {
      setReasons([]);
      return;
    }
    let pause = FIRST;
    let timer = window.setTimeout(ask, pause);
    let wanted = true;
    async function ask() {
      if (!document.hidden) {
        try {
          const answer = await model.source.request<{ reasons: string[] }>(`dispatches/${model.id}/waiting`);
          if (wanted) {
            setReasons(answer.reasons);
          }
        } catch {
          // No service, which is said elsewhere, or one of before that does not know.
        }
      }
      if (wanted) {
        pause = Math.min(LONGEST, 2 * pause);
        timer = window.setTimeout(ask, pause);
      }
    }
    return () => {
      wanted = false;
      window.clearTimeout(timer);
    };
  }, [model, idle]);
  return reasons;
}

/** A line for each of them. */
export function Waiting({ model }: { model: DispatchModel }): JSX.Element | null {
  const trans = useTrans();
  const reasons = useWaiting(model);
  if (reasons.length === 0) {
    return null;
  }
  return (
    <ul className="cv-waits" role="status" aria-label={trans.__('What it waits for')}>
      {reasons.map(text => (
        <li key={text}>{trans.__('Waits: %1', text)}</li>
      ))}
    </ul>
  );
}
