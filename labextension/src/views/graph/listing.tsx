import * as React from 'react';

import { Faces } from './faces';
import { Scene, Shape } from './scene';

/** Shapes that are listed for screen readers; of more, the one in focus alone. */
const LISTED = 300;

interface ListingProps {
  scene: Scene | null;
  faces: Faces;
  focused: string | null;
  chosen: Shape | null;
}

/** What the canvas shows, in words. */
export function Listing({ scene, faces, focused, chosen }: ListingProps): JSX.Element {
  const all = scene?.shapes ?? [];
  const told = all.length <= LISTED ? all : all.filter(shape => shape.id === focused || shape.id === chosen?.id);
  return (
    <div className="cv-hidden" role="presentation">
      {told.map(shape => (
        <div
          key={shape.id}
          id={`cv-shape-${shape.id}`}
          role="option"
          aria-selected={shape.id === chosen?.id}
          data-role={shape.role}
          data-place={`${shape.x} ${shape.y} ${shape.width} ${shape.height}`}
        >
          {faces.of(shape).state.sign} {faces.words(shape)}
        </div>
      ))}
    </div>
  );
}
