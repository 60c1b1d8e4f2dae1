"""The audit of the user's own model: what real training steps do to each of its layers.

subject    what is audited, from the command line's words
layers     record of a layer -> facts, as the judge makes facts of an observation; `normalising`: one of them
findings   facts -> named hazards; one data file each, in `bnmatrix/findings`
expected   does it do what its user says it does
remedies   what mends it, as code for this model
auditing   all of these, one after the other
"""
