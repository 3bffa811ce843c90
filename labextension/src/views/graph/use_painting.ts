import * as React from 'react';

import { Faces } from './faces';
import { Painter, Palette, View } from './paint';
import { Scene } from './scene';

interface Painting {
  scene: Scene | null;
  view: View;
  size: { width: number; height: number };
  palette: Palette;
  faces: Faces;
  stamp: string;
  emphasis: { chosen: string | null; focused: string | null; found: ReadonlySet<string> | null };
}

/** Paints, once a frame at most. */
export function usePainting(painting: Painting): React.RefObject<HTMLCanvasElement> {
  const canvas = React.useRef<HTMLCanvasElement>(null);
  const latest = React.useRef(painting);
  latest.current = painting;
  const painter = React.useRef<Painter | null>(null);
  const frame = React.useRef(0);
  React.useEffect(() => () => window.cancelAnimationFrame(frame.current), []);
  React.useEffect(() => {
    frame.current = frame.current || window.requestAnimationFrame(paint);
  });
  const paint = () => {
    frame.current = 0;
    const { scene, view, size, palette, faces, emphasis } = latest.current;
    const context = canvas.current?.getContext('2d');
    if (!context || !scene) {
      return;
    }
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [Math.round(size.width * ratio), Math.round(size.height * ratio)];
    if (context.canvas.width !== width || context.canvas.height !== height) {
      context.canvas.width = width;
      context.canvas.height = height;
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (painter.current?.palette !== palette) {
      painter.current = new Painter(context, palette);
    }
    painter.current.paint(scene, view, size.width, size.height, faces.of, emphasis);
  };
  return canvas;
}
