import * as React from 'react';

import { Face, Painter, Palette, View } from './paint';
import { Scene, Shape } from './scene';

const WIDTH = 168;
const HEIGHT = 108;
const NOTHING = { chosen: null, focused: null, found: null };

interface Props {
  scene: Scene;
  view: View;
  width: number;
  height: number;
  palette: Palette;
  face: (shape: Shape) => Face;
  /** Drawn anew when this changes. */
  stamp: string;
  onMove: (x: number, y: number) => void;
  label: string;
}

/** The whole scene, small, and what of it is in view: a click or a drag goes there. For the eye and the mouse alone. */
export function Minimap(props: Props): JSX.Element {
  const { scene, view, width, height, palette, face, stamp, onMove, label } = props;
  const canvas = React.useRef<HTMLCanvasElement>(null);
  const scale = Math.min((WIDTH - 8) / scene.width, (HEIGHT - 8) / scene.height);
  const left = (WIDTH - scene.width * scale) / 2;
  const top = (HEIGHT - scene.height * scale) / 2;
  React.useEffect(() => {
    const context = canvas.current?.getContext('2d');
    if (context) {
      const ratio = window.devicePixelRatio || 1;
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      new Painter(context, palette).paint(scene, { x: left, y: top, scale }, WIDTH, HEIGHT, face, NOTHING);
    }
  }, [scene, palette, stamp]);
  const move = (event: React.PointerEvent) => {
    if (event.buttons & 1) {
      const box = canvas.current!.getBoundingClientRect();
      onMove((event.clientX - box.left - left) / scale, (event.clientY - box.top - top) / scale);
    }
  };
  const frame = {
    left: left + (-view.x / view.scale) * scale,
    top: top + (-view.y / view.scale) * scale,
    width: (width / view.scale) * scale,
    height: (height / view.scale) * scale
  };
  return (
    <div
      className="cv-minimap"
      aria-hidden="true"
      title={label}
      onPointerDown={event => {
        event.currentTarget.setPointerCapture(event.pointerId);
        move(event);
      }}
      onPointerMove={move}
    >
      <canvas
        ref={canvas}
        width={WIDTH * (window.devicePixelRatio || 1)}
        height={HEIGHT * (window.devicePixelRatio || 1)}
        style={{ width: WIDTH, height: HEIGHT }}
      />
      <div className="cv-minimapView" style={frame} />
    </div>
  );
}
