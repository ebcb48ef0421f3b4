"""From pixels to numbers and back: FITS headers and files, WCS, sources, image quality, the focus curve.

Plain functions over numpy arrays that know no module and no bus; they block, so modules call them by `in_thread`.
Importing this room costs nothing: `headers` is pure Python, the others load numpy, sep or astropy when first used.
"""
