"""Layers and models that claims are measured by, as people wrote them.

They run in the target's environment, where there need be no bnmatrix: each file stands alone with its
framework, in Python 3.6 syntax. By hand: `--layer bnmatrix.examples.yolov4:BatchNormalization`.
"""
