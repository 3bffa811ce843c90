import { ISignal } from '@lumino/signaling';
import { useEffect, useReducer, useState } from 'react';

/** Draw again whenever one of these has changed. */
export function useChanges(...models: { changed: ISignal<unknown, unknown> }[]): void {
  const [, draw] = useReducer((n: number) => n + 1, 0);
  useEffect(() => {
    models.forEach(model => model.changed.connect(draw));
    draw(); // it may have changed since it was first drawn
    return () => models.forEach(model => model.changed.disconnect(draw));
  }, models);
}

/** Draw again each second while `ticking`. */
export function useTick(ticking: boolean): void {
  const [, tick] = useState(0);
  useEffect(() => {
    if (!ticking) {
      return;
    }
    const timer = window.setInterval(() => tick(n => n + 1), 1000);
    return () => window.clearInterval(timer);
  }, [ticking]);
}
