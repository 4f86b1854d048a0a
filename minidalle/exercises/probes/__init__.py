"""How a student's function is called: one file a lesson, one probe a function, and no answer anywhere near.

A probe takes the function and a case by name, turns JSON into what the function takes (pairs are tuples, a
mapping has keys that JSON has not), calls it, and returns JSON and tensors. Models and closures are made inside,
gradients are taken inside and returned under the key "gradients".
"""
