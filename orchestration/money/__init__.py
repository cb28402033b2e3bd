"""What tokens cost: the price list, names of models, and the price of each quarter hour.

Imports contract, lake and below.
"""
