import { useEffect, useReducer, useState } from 'react';

import { CovalentModel } from './model';

/** Draw again whenever the model has changed. */
export function useModel(model: CovalentModel): void {
  const [, draw] = useReducer((n: number) => n + 1, 0);
  useEffect(() => {
    model.changed.connect(draw);
    draw(); // it may have changed since it was first drawn
    return () => {
      model.changed.disconnect(draw);
    };
  }, [model]);
}

/** The model's clock, drawn anew each second while `ticking`. */
export function useClock(model: CovalentModel, ticking: boolean): number {
  const [, tick] = useState(0);
  useEffect(() => {
    if (!ticking) {
      return;
    }
    const timer = window.setInterval(() => tick(n => n + 1), 1000);
    return () => window.clearInterval(timer);
  }, [ticking]);
  return model.now();
}
