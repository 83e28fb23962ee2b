"""The public Python API: one module for each verb, which `import edge_fm` offers by name.

Functions take typed options and return typed results, whose `to_json()` is what the command of the same name prints.
They print nothing: progress, notes and warnings go to the callbacks that they are given.
"""
