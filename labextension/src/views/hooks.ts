import { ISignal } from '@lumino/signaling';
import * as React from 'react';

import { useSurroundings } from './context';

interface Changing {
  changed: ISignal<any, any>;
}

/** Draw again when the model has changed: once a frame, however often it did. */
export function useModel(model: Changing | null): void {
  const [, draw] = React.useReducer((n: number) => n + 1, 0);
  React.useEffect(() => {
    if (!model) {
      return;
    }
    let frame = 0;
    const later = () => {
      frame = frame || window.requestAnimationFrame(now);
    };
    const now = () => {
      frame = 0;
      draw();
    };
    model.changed.connect(later);
    draw(); // it may have changed since it was first drawn
    return () => {
      model.changed.disconnect(later);
      window.cancelAnimationFrame(frame);
    };
  }, [model]);
}

/** The clock `now`, drawn anew each second while `ticking`. */
export function useClock(now: () => number, ticking: boolean): number {
  const [, tick] = React.useReducer((n: number) => n + 1, 0);
  React.useEffect(() => {
    if (!ticking) {
      return;
    }
    const timer = window.setInterval(tick, 1000);
    return () => window.clearInterval(timer);
  }, [ticking]);
  return now();
}

export interface Size {
  width: number;
  height: number;
}

/** The size of an element, as it changes. */
export function useSize(element: React.RefObject<HTMLElement>): Size {
  const [size, setSize] = React.useState<Size>({ width: 0, height: 0 });
  React.useLayoutEffect(() => {
    const node = element.current;
    if (!node) {
      return;
    }
    const measure = () => {
      const { clientWidth: width, clientHeight: height } = node;
      setSize(known => (known.width === width && known.height === height ? known : { width, height }));
    };
    measure();
    const observer = typeof ResizeObserver === 'undefined' ? null : new ResizeObserver(measure);
    observer?.observe(node);
    return () => observer?.disconnect();
  }, []);
  return size;
}

export interface Answer<T> {
  data: T | null;
  /** Why it could not be had; "" while all is well. */
  problem: string;
  /** Asks once more. */
  again: () => void;
}

/**
 * What a promise gave, and why it failed; asked anew when `keys` change, and after a failure when the service is there again.
 * What was there stays until the new is.
 */
export function useAnswer<T>(ask: () => Promise<T>, keys: unknown[]): Answer<T> {
  const { source } = useSurroundings();
  const [round, again] = React.useReducer((n: number) => n + 1, 0);
  const [answer, setAnswer] = React.useState<{ data: T | null; problem: string }>({ data: null, problem: '' });
  React.useEffect(() => {
    let wanted = true;
    ask().then(
      data => wanted && setAnswer({ data, problem: '' }),
      error => wanted && setAnswer(known => ({ ...known, problem: String(error?.message ?? error) }))
    );
    return () => {
      wanted = false;
    };
  }, [...keys, round]);
  const failed = answer.problem !== '';
  React.useEffect(() => {
    if (!failed) {
      return;
    }
    const look = () => void (source.link === 'online' && again());
    source.linkChanged.connect(look);
    return () => void source.linkChanged.disconnect(look);
  }, [source, failed]);
  return { ...answer, again };
}

/** Whether the pane at the side of a body lies over all of it, as in little room. */
export function isCovered(body: HTMLElement | null, side: string): boolean {
  return body !== null && body.querySelector(side)?.clientWidth === body.clientWidth;
}
