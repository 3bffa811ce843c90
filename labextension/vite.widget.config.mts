import { defineConfig } from 'vite';

// The widget of notebooks whose front end has no labextension: the same views in one file, which travels with each widget,
// and so has the small twin of React in it.
export default defineConfig({
  define: { 'process.env.NODE_ENV': '"production"' },
  resolve: {
    alias: [
      { find: 'react-dom/client', replacement: 'preact/compat/client' },
      { find: 'react-dom', replacement: 'preact/compat' },
      { find: 'react', replacement: 'preact/compat' }
    ]
  },
  build: {
    outDir: '../covalent_jupyter/notebook/static',
    emptyOutDir: true,
    minify: true,
    target: 'es2020',
    cssCodeSplit: false,
    reportCompressedSize: false,
    rolldownOptions: { output: { minify: true } }, // a library keeps its white space otherwise
    lib: { entry: 'lib/widget/bundle.js', formats: ['es'], fileName: () => 'panel.js', cssFileName: 'panel' }
  }
});
