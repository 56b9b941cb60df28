"""The base class of layers, in the parts it is made of.

`state` holds variables and sublayers (`tracking` finds them in attributes), `building` makes the variables, `masks` and
`placeholders` do what a call does beside computing, and `layer` is the call itself. Families import Layer from here.
"""

from kcore.layers.layer.layer import Layer
