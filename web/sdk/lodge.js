// lodge
