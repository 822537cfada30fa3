"""What clinical sentences say of a symptom, and where: present or absent, and its span."""
