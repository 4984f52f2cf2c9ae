using '../main.bicep'

// As azd fills main.parameters.json in when nothing but the name, the region and the deployer is known.
param environmentName = 'scan-prod'
param location = 'swedencentral'
param principalId = '11111111-1111-1111-1111-111111111111'
